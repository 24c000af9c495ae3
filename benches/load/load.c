/*
 * The load generator: many clients, one epoll loop, one line of JSON.
 *
 * It reads the server's CPU clock just before and just after the work, so what
 * it costs itself does not enter the figures.
 *
 *   echo      each connection sends --depth messages and waits for their echoes
 *   fanout    one connection asks the server to publish (see raw/server.c); or,
 *             with --put PATH, edits "#live" of that document
 *   get       each connection asks for --path again and again
 *   storm     connect, upgrade, reset; --depth at a time
 *   hold      open --connections of --kind, wait, report memory
 *
 * Usage: load MODE --port P --pid PID [--name value]...
 */
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "meter.h"
#include "options.h"
#include "wire.h"

#define EVENTS 512
/* A part of the work that is done before the clock is read. */
#define WARM_UP 8
/* More than a socket and the buffers behind it hold, less than any budget. */
#define DEAF_FILL (512 * 1024)

static conn_t *conns;
static int epoll;
static uint8_t input[READ_SIZE];

static void watch(conn_t *conn, uint32_t events)
{
    struct epoll_event event = {events, {.ptr = conn}};
    fcntl(conn->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &event))
        fail("epoll_ctl");
}

/* Connect and upgrade, one after the other. */
static void subscribe(conn_t *conn)
{
    char request[1024];
    size_t size = build_upgrade(request, sizeof request);
    open_socket(conn);
    ask(conn, request, size);
}

/* A subscriber that reads nothing, and has not from the start. */
static void subscribe_deaf(void)
{
    conn_t *conn = calloc(1, sizeof *conn);
    static uint8_t payload[DEAF_FILL], frame[DEAF_FILL + 14];
    int least = 4096;
    if (!conn)
        fail("calloc");
    subscribe(conn);
    setsockopt(conn->fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    /* The echo of this fills what the kernel would take for it; documents have none. */
    if (!with.put)
        put(conn, frame, build_frame(frame, 2, payload, sizeof payload));
}

static void open_all(int upgraded)
{
    for (long i = 0; i < with.connections; i++) {
        if (upgraded)
            subscribe(&conns[i]);
        else
            open_socket(&conns[i]);
        watch(&conns[i], EPOLLIN);
    }
}

static size_t read_some(conn_t *conn)
{
    ssize_t got = socket_recv(conn->fd, conn->tls, input, sizeof input);
    if (got > 0) {
        received += (uint64_t)got;
        return (size_t)got;
    }
    if (got < 0 && errno == EAGAIN)
        return 0;
    fail("the server went away");
    return 0;
}

static int wait_events(struct epoll_event *events)
{
    int ready = epoll_wait(epoll, events, EVENTS, 20000);
    if (ready <= 0)
        fail("nothing arrives");
    return ready;
}

/* Ask and wait in a closed loop on every connection. */
static void closed_loop(
    const void *request, size_t size, uint32_t answer, long rounds, int is_http)
{
    struct epoll_event events[EVENTS];
    long busy = with.connections;
    for (long i = 0; i < busy; i++) {
        conns[i].rounds = (uint32_t)rounds;
        conns[i].missing = answer;
        conns[i].started = now_ns();
        put(&conns[i], request, size);
    }
    while (busy) {
        int ready = wait_events(events);
        for (int i = 0; i < ready; i++) {
            conn_t *conn = events[i].data.ptr;
            size_t got = read_some(conn);
            uint32_t done = is_http ? (uint32_t)got : scan_frames(conn, input, got);
            if (done > conn->missing) {
                fprintf(stderr, "load: more came back than was asked for\n");
                exit(1);
            }
            conn->missing -= done;
            if (conn->missing)
                continue;
            uint64_t now = now_ns();
            sample(now - conn->started);
            if (--conn->rounds == 0) {
                busy--;
                continue;
            }
            conn->missing = answer;
            conn->started = now;
            put(conn, request, size);
        }
    }
}

static void measure_loop(const void *request, size_t size, uint32_t answer, int is_http)
{
    closed_loop(request, size, answer, with.rounds / WARM_UP + 1, is_http);
    samples.count = 0;
    received = 0;
    sleep_ms(5);
    uint64_t cpu = cpu_ns((int)with.pid), wall = now_ns();
    closed_loop(request, size, answer, with.rounds, is_http);
    wall = now_ns() - wall;
    sleep_ms(5);
    cpu = cpu_ns((int)with.pid) - cpu;
    uint64_t each = is_http ? 1 : (uint64_t)with.depth;
    report((uint64_t)with.rounds * (uint64_t)with.connections * each, cpu, wall, received);
}

static void echo(void)
{
    uint8_t *burst = malloc((size_t)(with.depth * (with.size + 14)));
    uint8_t *payload = malloc((size_t)with.size + 1);
    size_t used = 0;
    if (!burst || !payload)
        fail("malloc");
    memset(payload, 'e', (size_t)with.size);
    for (long i = 0; i < with.depth; i++)
        used += build_frame(burst + used, 2, payload, (size_t)with.size);
    open_all(1);
    measure_loop(burst, used, (uint32_t)with.depth, 0);
}

static void get(void)
{
    char request[2048];
    size_t size = build_request(request, sizeof request);
    conn_t first = {0};
    open_socket(&first);
    size_t answer = ask(&first, request, size);
    close_socket(&first);
    open_all(0);
    measure_loop(request, size, (uint32_t)answer, 1);
}

/* One publication, or edit, until everybody has it. */
static void publish_round(conn_t *writer, long number)
{
    struct epoll_event events[EVENTS];
    static char request[70000];
    long busy = with.connections;
    int size;
    uint64_t started = now_ns();
    for (long i = 0; i < busy; i++)
        conns[i].missing = (uint32_t)with.messages;
    if (with.put) {
        int width = (int)with.size;
        size = snprintf(
            request, sizeof request,
            "PUT %s HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\nRange: selector=#live\r\n"
            "Content-Length: %d\r\n\r\n<div id=\"live\">%0*ld</div>",
            with.put, with.port, width + 21, width, number);
        put(writer, request, (size_t)size);
    } else {
        uint8_t frame[128];
        size = snprintf(
            request, sizeof request, "publish %ld %ld %s", with.messages, with.size,
            with.how);
        put(&conns[0], frame, build_frame(frame, 1, request, (size_t)size));
    }
    while (busy) {
        int ready = wait_events(events);
        for (int i = 0; i < ready; i++) {
            conn_t *conn = events[i].data.ptr;
            uint32_t done = scan_frames(conn, input, read_some(conn));
            if (with.put && done > conn->missing)
                fail("an edit came twice");
            if (!done || !conn->missing)
                continue;
            conn->missing -= done < conn->missing ? done : conn->missing;
            if (!conn->missing) {
                sample(now_ns() - started);
                busy--;
            }
        }
    }
    if (with.put)
        ask(writer, "", 0);
}

static void fanout(void)
{
    conn_t writer = {0};
    open_all(1);
    for (long i = 0; i < with.deaf; i++)
        subscribe_deaf();
    if (with.put)
        open_socket(&writer);
    for (long i = 0; i <= with.rounds / WARM_UP; i++)
        publish_round(&writer, i);
    samples.count = 0;
    received = 0;
    sleep_ms(5);
    memory[0] = memory[1] = pss_kib((int)with.pid);
    uint64_t cpu = cpu_ns((int)with.pid), wall = now_ns();
    for (long i = 0; i < with.rounds; i++) {
        /* Each has reached everybody before the next; the rate is the highest. */
        uint64_t due = with.rate ? wall + (uint64_t)i * 1000000000u / (uint64_t)with.rate : 0;
        while (now_ns() < due)
            sleep_ms(1);
        publish_round(&writer, with.rounds + i);
        if (i == with.rounds / 4)
            memory[0] = pss_kib((int)with.pid);
    }
    memory[1] = pss_kib((int)with.pid);
    wall = now_ns() - wall;
    sleep_ms(5);
    cpu = cpu_ns((int)with.pid) - cpu;
    uint64_t each = with.connections ? (uint64_t)(with.connections * with.messages) : 1;
    report((uint64_t)with.rounds * each, cpu, wall, received);
}

static void connect_again(conn_t *conn, const char *request, size_t size)
{
    conn->started = now_ns();
    open_socket(conn);
    put(conn, request, size);
    watch(conn, EPOLLIN);
}

static void storm_of(long total)
{
    char request[1024];
    struct epoll_event events[EVENTS];
    size_t size = build_upgrade(request, sizeof request);
    long begun = 0, done = 0;
    for (; begun < with.depth && begun < total; begun++)
        connect_again(&conns[begun], request, size);
    while (done < total) {
        int ready = wait_events(events);
        for (int i = 0; i < ready; i++) {
            conn_t *conn = events[i].data.ptr;
            size_t got = read_some(conn);
            if (got < 12 || memcmp(input, "HTTP/1.1 101", 12))
                fail("no upgrade");
            sample(now_ns() - conn->started);
            close_socket(conn);
            done++;
            if (begun < total) {
                begun++;
                connect_again(conn, request, size);
            }
        }
    }
}

static void storm(void)
{
    storm_of(with.connections / WARM_UP + 1);
    samples.count = 0;
    received = 0;
    sleep_ms(20);
    uint64_t cpu = cpu_ns((int)with.pid), wall = now_ns();
    storm_of(with.connections);
    wall = now_ns() - wall;
    /* The resets of the last ones are work of the server as well. */
    sleep_ms(20);
    cpu = cpu_ns((int)with.pid) - cpu;
    report((uint64_t)with.connections, cpu, wall, received);
}

/* Open what --kind says, and leave it alone. */
static void open_idle(conn_t *conn)
{
    char request[2048];
    size_t size;
    if (!strcmp(with.kind, "websocket")) {
        subscribe(conn);
    } else {
        int is_stream = !strcmp(with.kind, "eventsource");
        open_socket(conn);
        size = is_stream
                 ? (size_t)snprintf(
                       request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\n"
                       "Accept: text/event-stream\r\n\r\n",
                       with.path, with.port)
                 : build_request(request, sizeof request);
        ask(conn, request, size);
    }
    watch(conn, EPOLLIN);
}

/* Answer pings, pass over comments. */
static void attend(long ms)
{
    struct epoll_event events[EVENTS];
    uint64_t end = now_ns() + (uint64_t)ms * 1000000u, now;
    while ((now = now_ns()) < end) {
        int ready = epoll_wait(epoll, events, EVENTS, (int)((end - now) / 1000000u) + 1);
        for (int i = 0; i < ready; i++) {
            conn_t *conn = events[i].data.ptr;
            size_t got = read_some(conn);
            if (!strcmp(with.kind, "websocket"))
                scan_frames(conn, input, got);
        }
    }
}

static void hold(void)
{
    /* The first ones pay for what all share. */
    long first = with.connections / WARM_UP;
    for (long i = 0; i < first; i++)
        open_idle(&conns[i]);
    attend(with.settle_ms);
    long before = pss_kib((int)with.pid);
    for (long i = first; i < with.connections; i++)
        open_idle(&conns[i]);
    attend(with.settle_ms);
    long after = pss_kib((int)with.pid);
    printf(
        "{\"operations\": %ld, \"bytes\": %ld}\n", with.connections - first,
        (after - before) * 1024);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {
        {"echo", echo}, {"fanout", fanout}, {"get", get}, {"storm", storm},
        {"hold", hold},
    };
    struct rlimit files;
    read_options(argc, argv);
    if (with.tls)
        tls_begin();
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (with.cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)with.cpu, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc((size_t)with.connections + 1, sizeof *conns);
    for (size_t i = 0; conns && i < sizeof modes / sizeof *modes; i++) {
        if (argc > 1 && !strcmp(argv[1], modes[i].name)) {
            modes[i].run();
            return 0;
        }
    }
    fprintf(stderr, "usage: load echo|fanout|get|storm|hold --port P --pid PID ...\n");
    return 2;
}
