/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `touchmark keys add|activate|retire|agree`: rotation of issuing keys without editing a file or
 * stopping the server. Each changes the issuers file (conf/managed.h) as a whole, has touchmarkd
 * take it up and waits until it serves so; what is refused, by whomever, leaves the file as it was.
 *
 *   keys_parse.c    the command line
 *   keys_command.c  the order of things
 *   keys_change.c   what a command changes
 *   keys_agree.c    what takes two officers
 *   keys_server.c   touchmarkd asked and waited for
 */
#ifndef TOUCHMARK_ADMIN_KEYS_COMMAND_H
#define TOUCHMARK_ADMIN_KEYS_COMMAND_H

#include <stdbool.h>

/* Is this the second word of one of these commands? */
bool keys_command_is(const char *word);
/* argv[0] is that word. Returns the exit code; wrong usage and --help end the program. */
int keys_command(int argc, char **argv);

#endif
