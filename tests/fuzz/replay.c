/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz harness over every file of a corpus folder, for compilers without
 * libFuzzer. Each seed is also run cut short at every length up to 512 octets and with
 * each of its first 256 octets changed, so that the replay is a test and not a ritual.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of the exact size, so that a sanitizer sees any read past its end. */
static void run(const uint8_t *data, size_t n) {
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    if (n)
        memcpy(copy, data, n);
    (void)LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void run_all(uint8_t *data, size_t n) {
    run(data, n);
    for (size_t cut = 0; cut < n && cut < 512; cut++)
        run(data, cut);
    for (size_t i = 0; i < n && i < 256; i++) {
        data[i] ^= 0x81;
        run(data, n);
        data[i] ^= 0x81;
    }
}

int main(int argc, char **argv) {
    static uint8_t data[1 << 20];
    size_t files = 0;
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        FILE *f = fopen(path, "rb");
        if (!f) {
            perror(path);
            return 1;
        }
        run_all(data, fread(data, 1, sizeof data, f));
        (void)fclose(f);
        files++;
    }
    (void)closedir(dir);
    printf("%zu seeds replayed\n", files);
    return files ? 0 : 1;
}
