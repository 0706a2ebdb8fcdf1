/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark product check`: products' files, without asking anybody. */
#include <stdio.h>

#include "admin/command.h"
#include "ca/product.h"
#include "conf/value.h"

static void print_product(const struct ca_product *product) {
    char hash[2 * CA_HASH_SIZE + 1], example[IPC_NAME_MAX + 1];
    ca_product_id_example(product, example);
    if (!hex_encode(BYTES_OF(product->hash), hash, sizeof hash))
        printf("  product %s, hash %s\n  an ID: %s\n", product->sku, hash, example);
    for (const struct conf_row *row = ca_product_rows; row->key; row++) {
        printf("  %s: ", row->key);
        conf_value_show(row, (const char *)product + row->offset, stdout);
        putchar('\n');
    }
}

static int check_one(const char *path) {
    struct ca_product product;
    char error[CONF_ERROR_MAX];
    if (ca_product_load(path, &product, error)) {
        fprintf(stderr, "touchmark: %s\n", error);
        return ADMIN_EXIT_REFUSED;
    }
    printf("%s\n", path);
    print_product(&product);
    ca_product_free(&product);
    return EX_OK;
}

/* Every file, also after one that is not good. */
int admin_product_check(struct admin_call *call) {
    int code = EX_OK;
    for (size_t i = 0; i < call->file_count; i++) {
        int one = check_one(call->files[i]);
        code = code == EX_OK ? one : code;
    }
    return fflush(stdout) && code == EX_OK ? EX_IOERR : code;
}
