/* SPDX-License-Identifier: Apache-2.0 */
/* The text of an act: any octets read, of which only those are taken that would be printed so; and
 * any octets as the value of a parameter, which is read back and adds no line. */
#include <stdlib.h>
#include <string.h>

#include "ca/act.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static size_t lines_in(struct bytes text) {
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

static void read_any(struct bytes in) {
    static struct ca_act_text text;
    static uint8_t memory[CA_ACT_TEXT_MAX];
    struct buf out = BUF_ON(memory);
    if (ca_act_text_parse(in, &text))
        return;
    require(ca_act_text_print(&text, &out) == TM_OK);
    require(bytes_equal(buf_bytes(&out), in));
}

static void print_value(struct bytes in) {
    static struct ca_act_text text, back;
    static uint8_t memory[CA_ACT_TEXT_MAX];
    struct buf out = BUF_ON(memory);
    char value[IPC_TEXT_MAX + 1] = "";
    memcpy(value, in.p, in.n < IPC_TEXT_MAX ? in.n : IPC_TEXT_MAX);
    memset(&text, 0, sizeof text);
    require(ca_act_param_add(&text.params, "p", value) == TM_OK);
    require(ca_act_text_print(&text, &out) == TM_OK);
    require(lines_in(buf_bytes(&out)) == 8);
    require(ca_act_text_parse(buf_bytes(&out), &back) == TM_OK);
    require(strcmp(ca_act_param(&back.params, "p"), value) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {data, size};
    read_any(in);
    if (size)
        print_value(in);
    return 0;
}
