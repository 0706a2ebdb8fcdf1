/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of acts, and the rules for them: see ca/act.h. */
#include <stdio.h>
#include <string.h>

#include "ca/act_internal.h"

bool ca_act_name_valid(const char *name) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t n = strlen(name);
    return n > 0 && n <= IPC_NAME_MAX && strspn(name, allowed) == n;
}

const char *ca_act_param(const struct ca_act_params *params, const char *name) {
    for (size_t i = 0; i < params->count; i++)
        if (strcmp(params->items[i].name, name) == 0)
            return params->items[i].value;
    return NULL;
}

enum tm_err ca_act_param_add(struct ca_act_params *params, const char *name, const char *value) {
    if (!ca_act_name_valid(name))
        return TM_EINVAL;
    if (ca_act_param(params, name))
        return TM_EEXISTS;
    if (params->count == CA_ACT_PARAMETERS_MAX || strlen(value) > IPC_TEXT_MAX)
        return TM_ELIMIT;
    size_t at = params->count++;
    for (; at > 0 && strcmp(params->items[at - 1].name, name) > 0; at--)
        params->items[at] = params->items[at - 1];
    TEXT_SET(params->items[at].name, name);
    TEXT_SET(params->items[at].value, value);
    return TM_OK;
}

static bool is_allowed(const struct ca_act_rule *rules, const char *name) {
    for (const struct ca_act_rule *rule = rules; rule->name; rule++)
        if (strcmp(rule->name, name) == 0)
            return true;
    return false;
}

enum tm_err ca_act_params_judge(const struct ca_act_params *params, const struct ca_act_rule *rules,
                                char text[IPC_TEXT_MAX + 1]) {
    for (size_t i = 0; i < params->count; i++)
        if (!is_allowed(rules, params->items[i].name)) {
            (void)snprintf(text, IPC_TEXT_MAX + 1, "this kind of act has no parameter \"%s\"",
                           params->items[i].name);
            return TM_EINVAL;
        }
    for (const struct ca_act_rule *rule = rules; rule->name; rule++) {
        const char *value = ca_act_param(params, rule->name);
        if (!value && rule->required) {
            (void)snprintf(text, IPC_TEXT_MAX + 1, "the parameter \"%s\" is missing", rule->name);
            return TM_EINVAL;
        }
        if (value && rule->good && !rule->good(value)) {
            (void)snprintf(text, IPC_TEXT_MAX + 1, "the parameter \"%s\" must be %.150s",
                           rule->name, rule->must);
            return TM_EINVAL;
        }
    }
    return TM_OK;
}
