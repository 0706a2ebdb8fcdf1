/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a station and the unit on it say to each other over the serial line (docs/stations.md): one
 * JSON object per line. Each message has one table of members, by which it is both written and
 * read; what is not in the table is refused. Used by both ends. No state, thread-safe.
 */
#ifndef TOUCHMARK_STATION_WIRE_H
#define TOUCHMARK_STATION_WIRE_H

#include "base/bytes.h"

#define WIRE_PROTOCOL 1u
#define WIRE_LINE_MAX 8192 /* octets of a line, its LF included */
#define WIRE_DER_MAX 6144  /* octets that all base64 of a line can stand for */
#define WIRE_NAME_MAX 64
#define WIRE_TEXT_MAX 160
#define WIRE_CHAIN_MAX 4
#define WIRE_TESTS_MAX 32
#define WIRE_INTEGER_MAX ((UINT64_C(1) << 53) - 1) /* what every JSON library keeps exactly */

enum wire_op {
    WIRE_HELLO,
    WIRE_KEYGEN,
    WIRE_CSR,
    WIRE_INSTALL,
    WIRE_READ,
    WIRE_SIGN,
    WIRE_TEST,
    WIRE_LOCK,
    WIRE_ERASE,
    WIRE_OP_COUNT
};

enum wire_key { WIRE_P256, WIRE_P384, WIRE_ED25519, WIRE_RSA2048 };
enum wire_state { WIRE_BLANK, WIRE_KEYED, WIRE_INSTALLED, WIRE_LOCKED };

enum wire_error {
    WIRE_UNKNOWN_OP,
    WIRE_BAD_REQUEST,
    WIRE_NO_KEY,
    WIRE_NO_CERTIFICATE,
    WIRE_KEY_MISMATCH,
    WIRE_IS_LOCKED,
    WIRE_BUSY,
    WIRE_FAILED,
    WIRE_OTHER_DEVICE
};

/* Words as they stand on the line, NULL-terminated, in the order of the enums. */
extern const char *const wire_op_words[], *const wire_key_words[], *const wire_state_words[],
                                                                       *const wire_error_words[];

/* Of the members behind `op`, each op has those of the table only; the others are zero. */
struct wire_question {
    uint64_t id;
    unsigned op;                  /* enum wire_op */
    char slot[WIRE_NAME_MAX + 1]; /* letters, digits and . _ ~ -, and no dot in front */
    unsigned key;                 /* enum wire_key */
    char subject[WIRE_NAME_MAX + 1];
    struct bytes certificate; /* DER */
    size_t chain_n;
    struct bytes chain[WIRE_CHAIN_MAX];
    struct bytes data;
    char device[WIRE_NAME_MAX + 1];
};

struct wire_test {
    char name[WIRE_NAME_MAX + 1];
    bool passed;
};

struct wire_answer {
    uint64_t id;
    bool ok;
    unsigned error;               /* enum wire_error; unless ok, as is the text */
    char text[WIRE_TEXT_MAX + 1]; /* for people */
    uint64_t protocol;
    char device[WIRE_NAME_MAX + 1], product[WIRE_NAME_MAX + 1], hardware[WIRE_NAME_MAX + 1],
        firmware[WIRE_NAME_MAX + 1];
    unsigned state; /* enum wire_state */
    uint64_t boot;
    struct bytes spki, csr, certificate; /* DER */
    struct bytes signature;
    bool passed;
    size_t tests_n;
    struct wire_test tests[WIRE_TESTS_MAX];
};

/* Each appends the message and its LF. TM_ELIMIT: out is too small, or the line would be longer
 * than WIRE_LINE_MAX; TM_EINVAL: a member that no line may have. The answer is to a question with
 * that op. */
MUST_USE enum tm_err wire_question_write(const struct wire_question *question, struct buf *out);
MUST_USE enum tm_err wire_answer_write(const struct wire_answer *answer, enum wire_op op,
                                       struct buf *out);

/* What an answer is to be about, when its question could not be read. */
struct wire_fault {
    bool has_id;
    uint64_t id;
    enum wire_error error;        /* WIRE_UNKNOWN_OP or WIRE_BAD_REQUEST */
    char text[WIRE_TEXT_MAX + 1]; /* what is wrong */
};

/* `line` is without LF. The decoded base64 goes behind what is in `room`, which *ret borrows.
 * TM_EPARSE: *ret_fault says why. */
MUST_USE enum tm_err wire_question_read(struct bytes line, struct buf *room,
                                        struct wire_question *ret, struct wire_fault *ret_fault);
/* Reads an answer to the question `id` with that op. TM_ENOTFOUND: the line is none, but something
 * that the unit logs; TM_EPARSE: it is one that the table does not allow, *ret_text says why. */
MUST_USE enum tm_err wire_answer_read(struct bytes line, uint64_t id, enum wire_op op,
                                      struct buf *room, struct wire_answer *ret,
                                      char ret_text[WIRE_TEXT_MAX + 1]);

/* Lines out of what comes in, whatever pieces it comes in. Zero-initialised it is at the start of a
 * line. A line that is too long is passed over. */
struct wire_lines {
    size_t n;
    bool overlong;
    uint8_t octets[WIRE_LINE_MAX];
};

/* Takes octets off *in, up to the end of the next line. True: *ret_line is that line without LF or
 * CR LF, until the next call. False: all was taken, and more is needed. */
bool wire_lines_take(struct wire_lines *lines, struct bytes *in, struct bytes *ret_line);

#endif
