/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devicec: a device on the library, for tests: storage and keys in a folder, EST by curl, or MQTT.
 * Prints each event, and at the end the status, as one JSON object per line. SIGTERM ends it in
 * order while it waits.
 */
#include <argp.h>
#include <jansson.h>
#include <openssl/pem.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/auto.h"
#include "client/port/curl.h"
#include "client/port/files.h"
#include "client/port/mqtt.h"
#include "client/port/openssl.h"
#include "client/port/run.h"

AUTO_DEFINE(FILE, fclose)
AUTO_DEFINE(X509, X509_free)

enum {
    OPT_FOLDER = 256,
    OPT_URL,
    OPT_PROBE_URL,
    OPT_ID,
    OPT_IDEVID,
    OPT_LDEVID,
    OPT_ANCHORS,
    OPT_BOOTSTRAP,
    OPT_TLS12,
    OPT_LINKING,
    OPT_KEEP_KEY,
    OPT_BACKOFF,
    OPT_BACKOFF_MIN,
    OPT_SOAK,
    OPT_UNTIL,
    OPT_STOP_AT,
    OPT_TIMES,
    OPT_MQTT,
    OPT_PROFILE,
    OPT_GROUP,
    OPT_EDGE_NODE,
    OPT_HOST_ID,
    OPT_PREFIX,
    OPT_CLIENT_ID,
    OPT_USER,
    OPT_PASSWORD_FILE,
    OPT_BROKER_CA,
    OPT_BROKER_CERT,
    OPT_BROKER_KEY,
    OPT_TIMEOUT,
    OPT_REPEAT
};

struct options {
    const char *command, *folder, *anchors, *stop_at;
    bool bootstrap;
    long until_s;
    long times;
    struct tm_config device;
    struct tm_curl_config curl;
    struct tm_mqtt_config mqtt; /* is used when it has a URL */
};

/* What a run holds, freed in one place. */
struct run {
    const struct options *options;
    struct tm_files *files;
    struct tm_key_files *keys;
    struct tm_curl *curl; /* or mqtt */
    struct tm_mqtt *mqtt;
    int signal_fd;
    struct tm_device device;
    uint8_t work[TM_WORK_SIZE];
};

static const struct argp_option option_rows[] = {
    {"folder", OPT_FOLDER, "FOLDER", 0, "Storage and keys", 0},
    {"url", OPT_URL, "URL", 0, "https://HOST:PORT of the EST server", 0},
    {"probe-url", OPT_PROBE_URL, "URL", 0, "Where a new certificate is tried", 0},
    {"id", OPT_ID, "ID", 0, "Device ID", 0},
    {"idevid-label", OPT_IDEVID, "LABEL", 0, "EST label for the IDevID", 0},
    {"ldevid-label", OPT_LDEVID, "LABEL", 0, "EST label for the LDevID", 0},
    {"anchors", OPT_ANCHORS, "FILE", 0, "Trust anchors (PEM), to provision", 0},
    {"bootstrap-from-stdin", OPT_BOOTSTRAP, NULL, 0,
     "Provision the one-time secret that stands on standard input", 0},
    {"pin-tls12", OPT_TLS12, NULL, 0, "Nothing newer than TLS 1.2", 0},
    {"linking", OPT_LINKING, "required|optional|off", 0, "Requests bound to their connection", 0},
    {"keep-key", OPT_KEEP_KEY, NULL, 0, "Renew with the same key", 0},
    {"backoff", OPT_BACKOFF, "SECONDS", 0, "Largest backoff; default 1", 0},
    {"backoff-min", OPT_BACKOFF_MIN, "SECONDS", 0, "Its first bound; default 1", 0},
    {"soak", OPT_SOAK, "SECONDS", 0, "Soak time of a new certificate", 0},
    {"until", OPT_UNTIL, "SECONDS", 0, "Settled is what waits longer; default 5", 0},
    {"times", OPT_TIMES, "COUNT", 0, "So often CURRENT was refused, or cacerts is asked; default 1",
     0},
    {"stop-at", OPT_STOP_AT, "EVENT", 0, "Stop at this event at once", 0},
    {"mqtt", OPT_MQTT, "URL", 0, "mqtt[s]://HOST:PORT of a broker, instead of --url", 1},
    {"profile", OPT_PROFILE, "sparkplug|plain", 0, "Default sparkplug", 1},
    {"group", OPT_GROUP, "ID", 0, "Sparkplug group; default g", 1},
    {"edge-node", OPT_EDGE_NODE, "ID", 0, "Default: the device ID", 1},
    {"host-id", OPT_HOST_ID, "ID", 0, "Primary host to wait for", 1},
    {"prefix", OPT_PREFIX, "TOPIC", 0, "Of the plain profile", 1},
    {"client-id", OPT_CLIENT_ID, "ID", 0, "Default: the device ID", 1},
    {"user", OPT_USER, "NAME", 0, "At the broker", 1},
    {"password-file", OPT_PASSWORD_FILE, "FILE", 0, "At the broker", 1},
    {"broker-ca", OPT_BROKER_CA, "FILE", 0, "PEM: CAs of the broker", 1},
    {"broker-cert", OPT_BROKER_CERT, "FILE", 0, "PEM: what is shown to the broker", 1},
    {"broker-key", OPT_BROKER_KEY, "FILE", 0, "PEM: its key", 1},
    {"timeout", OPT_TIMEOUT, "SECONDS", 0, "For one exchange", 1},
    {"repeat", OPT_REPEAT, "SECONDS", 0, "Until a request is published again", 1},
    {0},
};

static enum tm_linking linking_of(const char *text) {
    if (strcmp(text, "required") == 0)
        return TM_LINKING_REQUIRED;
    return strcmp(text, "off") == 0 ? TM_LINKING_OFF : TM_LINKING_OPTIONAL;
}

static error_t parse_device_option(int key, char *arg, struct tm_config *config) {
    switch (key) {
    case OPT_ID:
        config->device_id = arg;
        return 0;
    case OPT_IDEVID:
        config->idevid_label = arg;
        return 0;
    case OPT_LDEVID:
        config->ldevid_label = arg;
        return 0;
    case OPT_LINKING:
        config->linking = linking_of(arg);
        return 0;
    case OPT_KEEP_KEY:
        config->keep_key = true;
        return 0;
    case OPT_BACKOFF:
        config->backoff_max_s = (uint32_t)strtoul(arg, NULL, 10);
        return 0;
    case OPT_BACKOFF_MIN:
        config->backoff_min_s = (uint32_t)strtoul(arg, NULL, 10);
        return 0;
    case OPT_SOAK:
        config->soak_s = (uint32_t)strtoul(arg, NULL, 10);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_mqtt_number(int key, const char *arg, struct tm_mqtt_config *config) {
    switch (key) {
    case OPT_PROFILE:
        config->profile = strcmp(arg, "plain") == 0 ? TM_MQTT_PLAIN : TM_MQTT_SPARKPLUG;
        return 0;
    case OPT_TIMEOUT:
        config->timeout_s = (uint32_t)strtoul(arg, NULL, 10);
        return 0;
    case OPT_REPEAT:
        config->repeat_s = (uint32_t)strtoul(arg, NULL, 10);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_mqtt_option(int key, char *arg, struct tm_mqtt_config *config) {
    const struct {
        int key;
        const char **place;
    } texts[] = {
        {OPT_MQTT, &config->url},
        {OPT_GROUP, &config->group},
        {OPT_EDGE_NODE, &config->edge_node},
        {OPT_HOST_ID, &config->host_id},
        {OPT_PREFIX, &config->prefix},
        {OPT_CLIENT_ID, &config->client_id},
        {OPT_USER, &config->user},
        {OPT_PASSWORD_FILE, &config->password_file},
        {OPT_BROKER_CA, &config->anchors_file},
        {OPT_BROKER_CERT, &config->certificate_file},
        {OPT_BROKER_KEY, &config->key_file},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].key == key) {
            *texts[i].place = arg;
            return 0;
        }
    return parse_mqtt_number(key, arg, config);
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct options *o = state->input;
    switch (key) {
    case OPT_FOLDER:
        o->folder = arg;
        return 0;
    case OPT_URL:
        o->curl.url = arg;
        return 0;
    case OPT_PROBE_URL:
        o->curl.probe_url = arg;
        return 0;
    case OPT_TLS12:
        o->curl.tls12 = true;
        return 0;
    case OPT_ANCHORS:
        o->anchors = arg;
        return 0;
    case OPT_BOOTSTRAP:
        o->bootstrap = true;
        return 0;
    case OPT_UNTIL:
        o->until_s = strtol(arg, NULL, 10);
        return 0;
    case OPT_TIMES:
        o->times = strtol(arg, NULL, 10);
        return 0;
    case OPT_STOP_AT:
        o->stop_at = arg;
        return 0;
    case ARGP_KEY_ARG:
        o->command = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->command || !o->folder || !o->device.device_id || (!o->curl.url && !o->mqtt.url))
            argp_usage(state);
        return 0;
    default:
        return parse_mqtt_option(key, arg, &o->mqtt) == 0
                   ? 0
                   : parse_device_option(key, arg, &o->device);
    }
}

static int failed(const char *what, enum tm_err err) {
    fprintf(stderr, "devicec: %s: %s\n", what, tm_err_name(err));
    return 1;
}

/* ---- provision ---- */

static bool read_anchors(const char *path, struct buf *out) {
    AUTO(FILE) f = path ? fopen(path, "r") : NULL;
    while (f) {
        AUTO(X509) cert = PEM_read_X509(f, NULL, NULL, NULL);
        uint8_t *der = NULL;
        int n = cert ? i2d_X509(cert, &der) : 0;
        if (n <= 0)
            break;
        buf_put(out, (struct bytes){der, (size_t)n});
        OPENSSL_free(der);
    }
    return out->n > 0 && !out->full;
}

/* TM_ITEM_BOOTSTRAP: user NUL password. */
static enum tm_err write_bootstrap(const struct run *run) {
    const struct tm_storage *storage = tm_files_storage(run->files);
    uint8_t octets[256];
    struct buf credential = BUF_ON(octets);
    char secret[128] = "";
    if (!fgets(secret, sizeof secret, stdin))
        return TM_ENOTFOUND;
    secret[strcspn(secret, "\n")] = '\0';
    buf_put(&credential, bytes_str(run->options->device.device_id));
    buf_put_u8(&credential, 0);
    buf_put(&credential, bytes_str(secret));
    enum tm_err err = storage->write(storage->self, TM_ITEM_BOOTSTRAP, buf_bytes(&credential));
    bytes_wipe(secret, sizeof secret);
    bytes_wipe(octets, sizeof octets);
    return err;
}

static int provision(struct run *run) {
    static uint8_t octets[TM_ANCHORS_MAX];
    struct buf anchors = BUF_ON(octets);
    if (!read_anchors(run->options->anchors, &anchors))
        return failed("no trust anchors", TM_EPARSE);
    enum tm_err err = run->options->bootstrap ? write_bootstrap(run) : TM_OK;
    if (err == TM_OK)
        err = tm_device_provision(&run->options->device, tm_key_files_keys(run->keys),
                                  tm_files_storage(run->files), tm_openssl_crypto(), run->work,
                                  sizeof run->work, buf_bytes(&anchors), (struct bytes){NULL, 0});
    return err == TM_OK ? 0 : failed("provision", err);
}

/* ---- JSON ---- */

static const char *const slot_names[] = {"none", "idevid", "current", "next", "previous"};
static const char *const phase_names[] = {"idle", "request", "probe", "soak"};
static const char *const event_names[] = {
    [TM_EVENT_ENROLLED] = "enrolled",
    [TM_EVENT_RENEWED] = "renewed",
    [TM_EVENT_RECOVERED] = "recovered",
    [TM_EVENT_ROLLED_BACK] = "rolled-back",
    [TM_EVENT_DISCARDED] = "discarded",
    [TM_EVENT_ANCHORS] = "anchors",
    [TM_EVENT_BOOTSTRAP_ERASED] = "bootstrap-erased",
    [TM_EVENT_FAILED] = "failed",
    [TM_EVENT_STRANDED] = "stranded",
};

static void print_object(json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT);
    if (text)
        (void)puts(text);
    (void)fflush(stdout);
    free(text);
    json_decref(object);
}

static void print_event(const struct tm_event *event) {
    print_object(json_pack("{s:s, s:s, s:s}", "event", event_names[event->kind], "slot",
                           slot_names[event->slot], "text", event->text));
}

static json_t *slot_object(const struct tm_certificate *certificate) {
    char serial[2 * sizeof certificate->serial + 1] = "";
    if (hex_encode((struct bytes){certificate->serial, certificate->serial_n}, serial,
                   sizeof serial) != TM_OK)
        return NULL;
    return json_pack("{s:s, s:i, s:i, s:I}", "serial", serial, "key_bank", certificate->key_bank,
                     "chain_bank", certificate->chain_bank, "not_after_ms",
                     (json_int_t)certificate->not_after_ms);
}

static int print_status(struct run *run) {
    struct tm_status status;
    json_t *slots = json_object();
    tm_device_status(&run->device, tm_clock_now(), &status);
    for (int i = TM_SLOT_IDEVID; i < TM_SLOT_COUNT; i++)
        if (status.slots[i].used)
            (void)json_object_set_new(slots, slot_names[i], slot_object(&status.slots[i]));
    print_object(json_pack("{s:s, s:s, s:I, s:I, s:o}", "phase", phase_names[status.phase], "text",
                           status.text, "failures", (json_int_t)status.failures, "renew_at_ms",
                           (json_int_t)status.renew_at_ms, "slots", slots));
    return 0;
}

/* ---- run ---- */

/* Until the time, or a signal: true. */
static bool rest(struct run *run, int64_t until_mono_ms) {
    if (run->mqtt && tm_mqtt_wait(run->mqtt, until_mono_ms, run->signal_fd))
        tm_device_hurry(&run->device);
    int64_t left = run->mqtt ? 0 : until_mono_ms - tm_clock_now().mono_ms;
    struct pollfd signals = {.fd = run->signal_fd, .events = POLLIN};
    return poll(&signals, 1, left > 0 ? (int)left : 0) > 0;
}

static const struct tm_transport *transport_of(const struct run *run) {
    return run->mqtt ? tm_mqtt_transport(run->mqtt) : tm_curl_transport(run->curl);
}

/* Tells the events until the device waits for long, or the event comes that it is to stop at. */
static enum tm_err settle(struct run *run) {
    const struct options *o = run->options;
    struct tm_step step;
    for (;;) {
        enum tm_err err = tm_run(&run->device, transport_of(run), tm_clock_now, &step);
        if (err != TM_OK)
            return err;
        if (step.kind == TM_STEP_TELL) {
            print_event(&step.event);
            if (o->stop_at && strcmp(o->stop_at, event_names[step.event.kind]) == 0)
                return TM_OK;
            continue;
        }
        int64_t now = tm_clock_now().mono_ms;
        if (step.until_mono_ms / 1000 > now / 1000 + o->until_s)
            return TM_OK;
        if (rest(run, step.until_mono_ms))
            return TM_OK;
    }
}

/* Exchanges as they are, one after the other. */
static int ask_cacerts(struct run *run) {
    const struct tm_transport *transport = transport_of(run);
    const struct tm_exchange exchange = {.operation = TM_OP_CACERTS, .label = ""};
    for (long i = 0; i < run->options->times; i++) {
        struct tm_answer answer;
        transport->exchange(transport->self, &exchange, &answer);
        print_object(json_pack("{s:i, s:s, s:I}", "result", (int)answer.result, "text", answer.text,
                               "octets", (json_int_t)answer.body.n));
    }
    return 0;
}

static int operate(struct run *run) {
    const char *command = run->options->command;
    enum tm_err err = tm_device_init(&run->device, &run->options->device,
                                     tm_key_files_keys(run->keys), tm_files_storage(run->files),
                                     tm_openssl_crypto(), run->work, sizeof run->work);
    if (err != TM_OK)
        return failed("start", err);
    if (strcmp(command, "cacerts") == 0)
        return ask_cacerts(run);
    if (strcmp(command, "renew") == 0)
        tm_device_renew(&run->device);
    if (strcmp(command, "refused") == 0)
        for (long i = 0; i < run->options->times; i++)
            tm_device_used(&run->device, false);
    if (strcmp(command, "status") != 0)
        err = settle(run);
    return err == TM_OK ? print_status(run) : failed(command, err);
}

static enum tm_err open_curl(struct run *run) {
    struct tm_curl_config config = run->options->curl;
    config.keys = tm_key_files_keys(run->keys);
    config.storage = tm_files_storage(run->files);
    return tm_curl_open(&config, &run->curl);
}

static enum tm_err open_mqtt(struct run *run) {
    struct tm_mqtt_config config = run->options->mqtt;
    config.device_id = run->options->device.device_id;
    config.folder = run->options->folder;
    config.keys = tm_key_files_keys(run->keys);
    config.storage = tm_files_storage(run->files);
    config.crypto = tm_openssl_crypto();
    return tm_mqtt_open(&config, &run->mqtt);
}

/* Before libraries write to sockets: a signal is only taken while the device waits. */
static enum tm_err open_signals(struct run *run) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return TM_EIO;
    run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    return run->signal_fd < 0 ? TM_EIO : TM_OK;
}

static enum tm_err open_parts(struct run *run) {
    enum tm_err err = tm_files_open(run->options->folder, &run->files);
    if (err == TM_OK)
        err = tm_key_files_open(run->options->folder, &run->keys);
    if (err != TM_OK)
        return err;
    err = open_signals(run);
    if (err != TM_OK)
        return err;
    return run->options->mqtt.url ? open_mqtt(run) : open_curl(run);
}

int main(int argc, char **argv) {
    static struct run run;
    struct options options = {.until_s = 5,
                              .times = 1,
                              .device = {.backoff_min_s = 1, .backoff_max_s = 1},
                              .mqtt = {.group = "g"}};
    struct argp argp = {option_rows,
                        parse_option,
                        "provision|run|renew|refused|cacerts|status",
                        "A device on the library.",
                        NULL,
                        NULL,
                        NULL};
    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return 2;
    run.options = &options;
    enum tm_err err = open_parts(&run);
    int status = 1;
    if (err != TM_OK)
        (void)failed("open", err);
    else
        status = strcmp(options.command, "provision") == 0 ? provision(&run) : operate(&run);
    tm_curl_close(run.curl);
    tm_mqtt_close(run.mqtt);
    tm_key_files_close(run.keys);
    tm_files_close(run.files);
    return status;
}
