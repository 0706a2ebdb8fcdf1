/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of signing sessions. */
#include "pkcs11/session.h"

void hsm_sessions_init(struct hsm_sessions *sessions, CK_FUNCTION_LIST *f, CK_SLOT_ID slot) {
    *sessions = (struct hsm_sessions){.f = f, .slot = slot};
    (void)pthread_mutex_init(&sessions->lock, NULL);
}

void hsm_sessions_deinit(struct hsm_sessions *sessions) {
    (void)pthread_mutex_destroy(&sessions->lock);
}

CK_RV hsm_sessions_take(struct hsm_sessions *sessions, CK_SESSION_HANDLE *ret_session) {
    bool found = false;
    (void)pthread_mutex_lock(&sessions->lock);
    if (sessions->idle_count > 0) {
        *ret_session = sessions->idle[--sessions->idle_count];
        found = true;
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    if (found)
        return CKR_OK;
    return sessions->f->C_OpenSession(sessions->slot, CKF_SERIAL_SESSION, NULL, NULL, ret_session);
}

void hsm_sessions_put(struct hsm_sessions *sessions, CK_SESSION_HANDLE session) {
    bool kept = false;
    (void)pthread_mutex_lock(&sessions->lock);
    if (sessions->idle_count < HSM_SESSIONS_KEPT) {
        sessions->idle[sessions->idle_count++] = session;
        kept = true;
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    if (!kept)
        (void)sessions->f->C_CloseSession(session);
}
