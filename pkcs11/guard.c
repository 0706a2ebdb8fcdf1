/* SPDX-License-Identifier: Apache-2.0 */
/* Single use and ceilings. */
#include "pkcs11/guard.h"

#include <string.h>

static uint64_t bit_of(uint64_t id) {
    return UINT64_C(1) << (id % 64);
}

static uint64_t *word_of(struct hsm_window *window, uint64_t id) {
    return &window->seen[id % HSM_WINDOW / 64];
}

/* The places of the IDs between the old and the new highest are not theirs yet. */
static void move_up(struct hsm_window *window, uint64_t id) {
    if (id - window->highest >= HSM_WINDOW) {
        memset(window->seen, 0, sizeof window->seen);
    } else {
        for (uint64_t i = window->highest + 1; i <= id && i != 0; i++)
            *word_of(window, i) &= ~bit_of(i);
    }
    window->highest = id;
}

bool hsm_window_take(struct hsm_window *window, uint64_t id) {
    if (id == 0)
        return false;
    if (id > window->highest)
        move_up(window, id);
    else if (window->highest - id >= HSM_WINDOW || (*word_of(window, id) & bit_of(id)))
        return false;
    *word_of(window, id) |= bit_of(id);
    return true;
}

bool hsm_checkpoint_take(struct hsm_checkpoint *last, const struct hsm_checkpoint *tree) {
    if (tree->size < last->size || (last->size && tree->size == last->size &&
                                    memcmp(tree->root, last->root, sizeof last->root) != 0))
        return false;
    *last = *tree;
    return true;
}

bool hsm_ceiling_take(struct hsm_ceiling *ceiling, int64_t now_mono_ms) {
    if (ceiling->max_total && ceiling->total >= ceiling->max_total)
        return false;
    int64_t period = now_mono_ms / (ceiling->period_ms ? ceiling->period_ms : 1000);
    if (ceiling->period != period) {
        ceiling->period = period;
        ceiling->in_period = 0;
    }
    if (ceiling->max_rate && ceiling->in_period >= ceiling->max_rate)
        return false;
    ceiling->in_period++;
    ceiling->total++;
    return true;
}

bool hsm_numbers_take(struct hsm_numbers *numbers, const uint8_t name[HSM_NAME_SIZE],
                      uint64_t number) {
    size_t i = 0;
    while (i < numbers->count && memcmp(numbers->rows[i].name, name, HSM_NAME_SIZE) != 0)
        i++;
    if (i == numbers->room || (i < numbers->count && number <= numbers->rows[i].number))
        return false;
    if (i == numbers->count)
        memcpy(numbers->rows[numbers->count++].name, name, HSM_NAME_SIZE);
    numbers->rows[i].number = number;
    return true;
}
