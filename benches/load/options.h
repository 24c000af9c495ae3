/*
 * The command line of the load generator.
 */
#ifndef BENCHES_OPTIONS_H
#define BENCHES_OPTIONS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *path, *put, *how, *kind, *header;
    long port, pid, cpu, connections, size, depth, rounds, messages, fields;
    long deaf, deflate, tls, rate, settle_ms;
} with = {
    .path = "/", .how = "separate", .kind = "websocket", .header = "", .cpu = -1,
    .connections = 64, .size = 64, .depth = 1, .rounds = 100, .messages = 1,
    .fields = 1,
};

static void read_options(int argc, char **argv)
{
    struct {
        const char *name, **text;
        long *number;
    } known[] = {
        {"--path", &with.path, NULL}, {"--put", &with.put, NULL},
        {"--header", &with.header, NULL},
        {"--how", &with.how, NULL}, {"--kind", &with.kind, NULL},
        {"--port", NULL, &with.port}, {"--pid", NULL, &with.pid},
        {"--cpu", NULL, &with.cpu}, {"--connections", NULL, &with.connections},
        {"--size", NULL, &with.size}, {"--depth", NULL, &with.depth},
        {"--rounds", NULL, &with.rounds}, {"--messages", NULL, &with.messages},
        {"--fields", NULL, &with.fields}, {"--deaf", NULL, &with.deaf},
        {"--deflate", NULL, &with.deflate}, {"--tls", NULL, &with.tls},
        {"--rate", NULL, &with.rate}, {"--settle-ms", NULL, &with.settle_ms},
    };
    for (int i = 2; i + 1 < argc; i += 2) {
        size_t at = 0, count = sizeof known / sizeof *known;
        while (at < count && strcmp(argv[i], known[at].name))
            at++;
        if (at == count) {
            fprintf(stderr, "load: unknown option %s\n", argv[i]);
            exit(2);
        }
        if (known[at].text)
            *known[at].text = argv[i + 1];
        else
            *known[at].number = strtol(argv[i + 1], NULL, 10);
    }
}

#endif
