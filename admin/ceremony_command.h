/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `touchmark ceremony FILE.yaml`: holds the key ceremony that the file describes, or goes on
 * with one that was interrupted. It needs no server; the tokens are opened by this process, which
 * lets nobody look into its memory meanwhile.
 *
 *   ceremony_command.c   the command line, and the ceremony itself
 *   ceremony_rehearse.c  the same on throwaway tokens
 *   ceremony_show.c      a transcript for people
 */
#ifndef TOUCHMARK_ADMIN_CEREMONY_COMMAND_H
#define TOUCHMARK_ADMIN_CEREMONY_COMMAND_H

/* argv[0] is the word "ceremony". Returns the exit code: EX_OK; ADMIN_EXIT_REFUSED: something is
 * in the way or a token says no; EX_CONFIG: the file is refused. Wrong usage and --help end the
 * program as argp does. */
int ceremony_command(int argc, char **argv);

#endif
