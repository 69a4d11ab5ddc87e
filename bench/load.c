/* A load client with as little cost of its own as possible: one thread, epoll, no parser beyond what it needs.
 *
 *   load push|read|echo|publish port=N [name=value...]    load
 *   load sink port=N [seconds=N]                     answer and stream as fast as one core can: see sink.c
 *
 * What the requests are: `push` posts updates to the sidecar, `echo` the same bytes to /echo, `publish` the same bytes
 * to /publish, which sends them to every stream of the bare server; `read` gets a job from the sidecar, where the rest
 * says "update". The rest, with defaults:
 *
 *   host=127.0.0.1 token=          where to, and who
 *   connections=4                  that post
 *   jobs=1000 projects=0           updates go to job-0..; job K to project p-(K mod projects), or to none
 *   streams=0 silent=0 path=       streams to open, how many of them never read, and what they ask for: a %d in it
 *                                  becomes the number of the stream
 *   ready=                         what a stream must have said to count as open; nothing: its head is enough
 *   settle=1 seconds=2             how long open streams must be quiet before the first phase; length of a phase
 *   phases=loop                    what to do, one after another, joined by commas:
 *       loop    every connection posts as soon as it is answered, to random jobs
 *       each    one update, and the next when each stream has had it
 *       RATE    updates/s on a fixed schedule, to the jobs in turn. Each is timed from when it should have been sent:
 *               one that finds every connection busy waits for its turn, and its waiting counts
 *       fill    each job once
 *       idle    nothing
 *     and behind each `xN` to post arrays of N updates, which on a schedule are due together: 5000x50.
 *
 * Each update has `"t=NANOSECONDS"` of CLOCK_MONOTONIC for a message; an event in a stream is known by it. Those from
 * before its phase, like a stream's first, do not count. Prints {"open": streams} when all are open and quiet, then a
 * line for each phase. Times are in microseconds. A rate counts what came within the phase, in `loop` and `each`
 * up to the last answer and event; latencies and `skipped` (updates on the schedule times streams, less events) also
 * what came while it drained.
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    BUCKETS = 4096,
    INPUT = 1 << 18,
    TAIL = 32,                 /* the longest mark, `"t=` and 20 digits, fits */
    OPENING = 128,             /* streams that may wait for their head at a time, so that no backlog overflows */
    READY = 64,                /* events taken from epoll at a time, so that the schedule does not wait for long */
    CONNECT_SECONDS = 5,
    OPEN_SECONDS = 60,
    SETTLE_SECONDS = 30,
    ANSWER_SECONDS = 10,
    FILL_SECONDS = 300,
    SPARE_SECONDS = 30,        /* after which a signal ends what has not ended by itself */
    UPDATE_BYTES = 256,        /* more than any update has */
    HEAD_BYTES = 1024,
};
#define SECOND 1000000000u
#define QUIET (SECOND / 4)     /* a phase has drained when nothing came for so long */
#define LOST_EVENT (5 * (uint64_t)SECOND) /* `each` waits no longer for an event */

struct options {
    const char *target, *host, *token, *path, *ready, *phases;
    long port, connections, jobs, projects, streams, silent;
    double settle, seconds;
};

struct phase {
    enum { LOOP, EACH, SCHEDULE, FILL, IDLE } kind;
    const char *name;
    double rate;
    long batch; /* 0: single updates */
};

struct times {
    uint64_t buckets[BUCKETS], count;
};

struct peer {
    int fd, is_stream;
    /* a stream */
    int is_answered, is_open, kept;
    char tail[TAIL];
    /* a connection that posts */
    uint64_t intended;
    long updates; /* in the request under way; 0: free */
    char *out, *in;
    size_t out_room, out_length, out_done, in_room, in_length, in_wanted;
};

struct counts {
    uint64_t updates, events, bytes, last_answer; /* within the phase */
    uint64_t sent, answered, failures, received, lost;
};

struct run {
    struct options options;
    struct phase phase;
    struct counts counts;
    struct times pushed, delivered;
    struct peer *posters, *streams, **free; /* `free` is a stack */
    long free_count, open_count;
    int poll, timer;
    long sequence;
    uint64_t began, until, last_event, armed;
    uint64_t requests;                           /* that have been sent in this phase */
    uint64_t mark, marks;                        /* the newest update's, and how many streams have had it */
    char *body, input[INPUT + 1];
};

void die(const char *sentence, ...) {
    va_list values;
    va_start(values, sentence);
    fputs("load: ", stderr);
    vfprintf(stderr, sentence, values);
    fputs("\n", stderr);
    va_end(values);
    exit(1);
}

uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *allocated(void *old, size_t bytes) {
    void *memory = realloc(old, bytes);
    if (!memory) die("no memory for %zu bytes", bytes);
    return memory;
}

static void *zeroed(long count, size_t size) {
    void *memory = calloc((size_t)(count > 0 ? count : 1), size);
    if (!memory) die("no memory for %ld connections", count);
    return memory;
}

/* ---- how long things took: 64 buckets for each power of two of microseconds ---- */

static void note(struct times *times, uint64_t from, uint64_t to) {
    uint64_t us = to > from ? (to - from) / 1000 : 0;
    int shift = 0;
    while (us >= 128) { us >>= 1; shift++; }
    int bucket = shift ? shift * 64 + (int)us : (int)us;
    times->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    times->count++;
}

static double value_of(int bucket) {
    if (bucket < 128) return bucket;
    int shift = (bucket - 64) / 64;
    return (double)((uint64_t)(bucket - shift * 64) << shift);
}

static double percentile(const struct times *times, double share) {
    uint64_t seen = 0;
    for (int i = 0; i < BUCKETS; i++) {
        seen += times->buckets[i];
        if (times->count && (double)seen >= share * (double)times->count) return value_of(i);
    }
    return 0;
}

/* ---- connections ---- */

static int dial(const struct options *to, int receive_bytes) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)to->port)};
    if (inet_pton(AF_INET, to->host, &address.sin_addr) != 1) die("host=%s is no IPv4 address", to->host);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0) die("cannot open another socket: %s", strerror(errno));
    struct timeval patience = {.tv_sec = CONNECT_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (receive_bytes) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    if (connect(fd, (struct sockaddr *)&address, sizeof address))
        die("cannot connect to %s:%ld: %s", to->host, to->port, strerror(errno));
    return fd;
}

static void listen_to(struct run *run, struct peer *peer, int operation, uint32_t what) {
    struct epoll_event event = {.events = what, .data.ptr = peer};
    fcntl(peer->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(run->poll, operation, peer->fd, &event)) die("epoll: %s", strerror(errno));
}

static size_t authorization(const struct options *options, char *to, size_t room) {
    return *options->token ? (size_t)snprintf(to, room, "Authorization: Bearer %s\r\n", options->token) : (*to = 0);
}

/* ---- streams ---- */

static void ask_for_stream(struct run *run, int fd, long number) {
    const struct options *options = &run->options;
    char request[2 * HEAD_BYTES], token[HEAD_BYTES];
    const char *place = strstr(options->path, "%d");
    int before = place ? (int)(place - options->path) : (int)strlen(options->path);
    char digits[24] = "";
    if (place) snprintf(digits, sizeof digits, "%ld", number);
    authorization(options, token, sizeof token);
    int length = snprintf(request, sizeof request,
        "GET %.*s%s%s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n%s\r\n", before, options->path, digits,
        place ? place + 2 : "", options->host, token);
    if (length >= (int)sizeof request) die("the path and the token are too long");
    if (write(fd, request, (size_t)length) != length) die("cannot ask for a stream: %s", strerror(errno));
}

static void open_stream(struct run *run, long number) {
    struct peer *stream = &run->streams[number];
    stream->is_stream = 1;
    stream->fd = dial(&run->options, 0);
    ask_for_stream(run, stream->fd, number);
    listen_to(run, stream, EPOLL_CTL_ADD, EPOLLIN);
}

/* A phase with a pace of its own lasts until its last answer and event, so that no part of a long one is lost. */
static int has_own_pace(const struct run *run) {
    return run->phase.kind == LOOP || run->phase.kind == EACH;
}

static int is_counted(const struct run *run, uint64_t now) {
    return now < run->until || has_own_pace(run);
}

static void count_event(struct run *run, uint64_t mark, uint64_t now) {
    run->last_event = now;
    if (mark < run->began) return;
    run->counts.received++;
    if (is_counted(run, now)) run->counts.events++;
    if (mark == run->mark) run->marks++;
    note(&run->delivered, mark, now);
}

/* Counts the marks in `data` and returns how many of its last bytes to put before what comes next: the beginning of a
 * mark, which has not been counted, or too little for one. */
static int count_marks(struct run *run, const char *data, size_t length, uint64_t now) {
    const char *end = data + length, *at = data;
    while ((at = memchr(at, '=', (size_t)(end - at)))) {
        const char *digit = at + 1;
        if (at - data >= 2 && at[-1] == 't' && at[-2] == '"') {
            uint64_t mark = 0;
            while (digit < end && digit - at <= 20 && isdigit((unsigned char)*digit))
                mark = mark * 10 + (uint64_t)(*digit++ - '0');
            if (digit == end) return (int)(end - at) + 2;
            if (digit > at + 1) count_event(run, mark, now);
        }
        at = digit;
    }
    return length < 2 ? (int)length : 2;
}

/* Notes that a stream was answered, and that it is ready; returns how much of what it said is to be kept. */
static int opened(struct run *run, struct peer *stream, size_t length) {
    size_t ready = strlen(run->options.ready);
    if (!stream->is_answered) {
        if (length < 12) return (int)length;
        if (memcmp(run->input, "HTTP/1.1 200", 12))
            die("a stream was answered %.*s", (int)strcspn(run->input, "\r\n"), run->input);
        stream->is_answered = 1;
    }
    if (ready && !memmem(run->input, length, run->options.ready, ready)) return (int)(length < ready ? length : ready - 1);
    stream->is_open = 1;
    run->open_count++;
    return 0;
}

static void on_stream(struct run *run, struct peer *stream) {
    memcpy(run->input, stream->tail, (size_t)stream->kept);
    ssize_t n = read(stream->fd, run->input + stream->kept, (size_t)(INPUT - stream->kept));
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        run->counts.lost++;
        close(stream->fd);
        return;
    }
    size_t length = (size_t)stream->kept + (size_t)n;
    run->input[length] = 0;
    if (now_ns() < run->until) run->counts.bytes += (uint64_t)n;
    if (!stream->is_open) stream->kept = opened(run, stream, length);
    if (stream->is_open) stream->kept = count_marks(run, run->input, length, now_ns());
    memcpy(stream->tail, run->input + length - (size_t)stream->kept, (size_t)stream->kept);
}

/* ---- posting ---- */

static long next_job(struct run *run, long place) {
    if (run->phase.kind == LOOP) return random() % run->options.jobs;
    return (long)((run->requests * (uint64_t)(run->phase.batch ? run->phase.batch : 1) + (uint64_t)place)
        % (uint64_t)run->options.jobs);
}

static size_t write_update(struct run *run, char *to, long job, int is_named) {
    char name[64] = "", project[64] = "";
    if (is_named) snprintf(name, sizeof name, "\"job_id\":\"job-%ld\",", job);
    if (run->options.projects) snprintf(project, sizeof project, "\"project\":\"p-%ld\",", job % run->options.projects);
    run->sequence++;
    return (size_t)snprintf(to, UPDATE_BYTES,
        "{%s%s\"writer\":\"bench\",\"seq\":%ld,\"stage\":\"solving\",\"current\":%ld,\"total\":1000000000000000000,"
        "\"message\":\"t=%llu\"}", name, project, run->sequence, run->sequence, (unsigned long long)run->mark);
}

static size_t write_updates(struct run *run, long count) {
    size_t length = 0;
    for (long i = 0; i < count; i++) {
        run->body[length++] = i ? ',' : '[';
        length += write_update(run, run->body + length, next_job(run, i), 1);
    }
    run->body[length++] = ']';
    return length;
}

static int is_read(const struct run *run) { return !strcmp(run->options.target, "read"); }

static void write_path(struct run *run, char *to, size_t room, long job) {
    const char *target = run->options.target;
    int is_ours = !strcmp(target, "push") || is_read(run);
    if (!is_ours && run->options.projects) snprintf(to, room, "/%s?project=p-%ld", target, job % run->options.projects);
    else if (!is_ours) snprintf(to, room, "/%s", target);
    else if (run->phase.batch) snprintf(to, room, "/v1/updates");
    else snprintf(to, room, "/v1/jobs/job-%ld", job);
}

/* How many updates the next request has: those left, if it is the last that fills. */
static long batch_of(const struct run *run) {
    long batch = run->phase.batch ? run->phase.batch : 1;
    long left = run->options.jobs - (long)run->requests * batch;
    return run->phase.kind == FILL && left < batch ? left : batch;
}

static void build(struct run *run, struct peer *poster) {
    long job = next_job(run, 0);
    char path[128], token[HEAD_BYTES];
    size_t length = run->phase.batch ? write_updates(run, batch_of(run)) : write_update(run, run->body, job, 0);
    if (is_read(run)) length = 0;
    write_path(run, path, sizeof path, job);
    authorization(&run->options, token, sizeof token);
    if (poster->out_room < length + 2 * HEAD_BYTES)
        poster->out = allocated(poster->out, poster->out_room = length + 2 * HEAD_BYTES);
    size_t head = (size_t)snprintf(poster->out, 2 * HEAD_BYTES,
        "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
        is_read(run) ? "GET" : "POST", path, run->options.host, token, length);
    memcpy(poster->out + head, run->body, length);
    poster->out_length = head + length;
    poster->out_done = poster->in_length = poster->in_wanted = 0;
}

/* Returns 0 when the connection is lost. */
static int send_on(struct run *run, struct peer *poster) {
    int was_partial = poster->out_done > 0;
    while (poster->out_done < poster->out_length) {
        ssize_t n = write(poster->fd, poster->out + poster->out_done, poster->out_length - poster->out_done);
        if (n < 0 && errno != EAGAIN) return 0;
        if (n < 0) {
            listen_to(run, poster, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return 1;
        }
        poster->out_done += (size_t)n;
    }
    if (was_partial) listen_to(run, poster, EPOLL_CTL_MOD, EPOLLIN);
    return 1;
}

static void set_free(struct run *run, struct peer *poster) {
    poster->updates = 0;
    run->free[run->free_count++] = poster;
}

/* Counts what was under way as failed, and connects again. */
static void replace(struct run *run, struct peer *poster) {
    run->counts.failures += (uint64_t)poster->updates;
    close(poster->fd);
    poster->fd = dial(&run->options, 0);
    listen_to(run, poster, EPOLL_CTL_ADD, EPOLLIN);
    if (poster->updates) set_free(run, poster);
}

static uint64_t occurrences(const char *text, size_t length, const char *word) {
    uint64_t count = 0;
    const char *end = text + length;
    while ((text = memmem(text, (size_t)(end - text), word, strlen(word)))) { count++; text++; }
    return count;
}

/* Whoever posts to the sidecar looks whether each update was taken; the bare servers only answer. */
static void answered(struct run *run, struct peer *poster) {
    uint64_t now = now_ns(), updates = (uint64_t)poster->updates, taken = updates;
    if (memcmp(poster->in, "HTTP/1.1 200", 12)) taken = 0;
    else if (!strcmp(run->options.target, "push")) taken = occurrences(poster->in, poster->in_length, "\"reason\":");
    run->counts.failures += taken < updates ? updates - taken : 0;
    run->counts.answered += updates;
    if (is_counted(run, now)) {
        run->counts.updates += taken < updates ? taken : updates;
        run->counts.last_answer = now;
    }
    note(&run->pushed, poster->intended, now);
    set_free(run, poster);
}

/* Sets how long the whole answer will be, once its head is there. */
static void read_head(struct peer *poster) {
    char *end = memmem(poster->in, poster->in_length, "\r\n\r\n", 4);
    if (!end) return;
    *end = 0;
    char *field = strcasestr(poster->in, "content-length:");
    poster->in_wanted = (size_t)(end + 4 - poster->in) + (field ? strtoul(field + 15, NULL, 10) : 0);
}

/* Returns 0 when the connection is lost. */
static int read_answer(struct run *run, struct peer *poster) {
    if (poster->in_room < poster->in_length + INPUT / 8)
        poster->in = allocated(poster->in, poster->in_room = 2 * poster->in_room + INPUT / 4);
    ssize_t n = read(poster->fd, poster->in + poster->in_length, poster->in_room - poster->in_length);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    if (!poster->updates) return 0; /* nobody asked */
    poster->in_length += (size_t)n;
    if (!poster->in_wanted) read_head(poster);
    if (poster->in_wanted && poster->in_length >= poster->in_wanted) answered(run, poster);
    return 1;
}

static void on_poster(struct run *run, struct peer *poster, uint32_t what) {
    int is_well = 1;
    if (what & EPOLLOUT) is_well = send_on(run, poster);
    if (is_well && what & (EPOLLIN | EPOLLHUP | EPOLLERR)) is_well = read_answer(run, poster);
    if (!is_well) replace(run, poster);
}

static void post(struct run *run, uint64_t intended) {
    struct peer *poster = run->free[--run->free_count];
    poster->updates = batch_of(run);
    poster->intended = run->mark = intended;
    run->marks = 0;
    build(run, poster);
    run->requests++;
    run->counts.sent += (uint64_t)poster->updates;
    if (!send_on(run, poster)) replace(run, poster);
}

/* ---- phases ---- */

static uint64_t due_at(const struct run *run, uint64_t request) {
    double updates = (double)request * (double)(run->phase.batch ? run->phase.batch : 1);
    return run->began + (uint64_t)(updates / run->phase.rate * 1e9);
}

/* How many streams should have each update; with projects it is one, that of the job's project. */
static uint64_t readers(const struct run *run) {
    long reading = run->options.streams - run->options.silent;
    return (uint64_t)(run->options.projects && reading ? 1 : reading);
}

static int has_arrived(const struct run *run, uint64_t now) {
    int is_answered = run->free_count == run->options.connections;
    int is_everywhere = run->marks + run->counts.lost >= readers(run);
    return !run->requests || (is_answered && (is_everywhere || now > run->mark + LOST_EVENT));
}

/* Returns when the next request should be sent, or 0: not yet. */
static uint64_t next_due(const struct run *run, uint64_t now) {
    uint64_t due;
    switch (run->phase.kind) {
    case LOOP: return now;
    case EACH: return has_arrived(run, now) ? now : 0;
    case SCHEDULE: return (due = due_at(run, run->requests)) <= now ? due : 0;
    case FILL: return batch_of(run) > 0 ? now : 0;
    default: return 0;
    }
}

static void post_what_is_due(struct run *run) {
    uint64_t due;
    while (run->free_count && (due = next_due(run, now_ns())) && due < run->until) post(run, due);
}

static void set_timer(struct run *run) {
    uint64_t at = due_at(run, run->requests);
    if (run->phase.kind != SCHEDULE || !run->free_count || at == run->armed) return;
    run->armed = at;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at / SECOND), .tv_nsec = (long)(at % SECOND)}};
    timerfd_settime(run->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Waits for something to happen, at most until then and at most 50 ms, and handles it. */
static void step(struct run *run, uint64_t until) {
    struct epoll_event events[READY];
    uint64_t now = now_ns(), left = now < until ? (until - now) / 1000000 + 1 : 0;
    int count = epoll_wait(run->poll, events, READY, left < 50 ? (int)left : 50);
    for (int i = 0; i < count; i++) {
        struct peer *peer = events[i].data.ptr;
        uint64_t expirations;
        if (!peer) { if (read(run->timer, &expirations, sizeof expirations) < 0) continue; }
        else if (peer->is_stream) on_stream(run, peer);
        else on_poster(run, peer, events[i].events);
    }
}

static void begin(struct run *run, struct phase phase) {
    double seconds = phase.kind == FILL ? FILL_SECONDS : run->options.seconds;
    run->phase = phase;
    run->requests = run->mark = run->marks = 0;
    memset(&run->pushed, 0, sizeof run->pushed);
    memset(&run->delivered, 0, sizeof run->delivered);
    memset(&run->counts, 0, offsetof(struct counts, lost));
    size_t batch = (size_t)(phase.batch ? phase.batch : 1);
    run->body = allocated(run->body, batch * UPDATE_BYTES + 2);
    run->began = now_ns();
    run->until = run->began + (uint64_t)(seconds * 1e9);
}

/* Waits for the answers that are under way, and until the streams are quiet. */
static void drain(struct run *run) {
    uint64_t now, deadline = now_ns() + (uint64_t)ANSWER_SECONDS * SECOND;
    while ((now = now_ns()) < deadline) {
        int has_answers = run->free_count == run->options.connections;
        int has_events = run->counts.received >= run->counts.sent * readers(run);
        uint64_t last = run->last_event > run->until ? run->last_event : run->until;
        if (has_answers && (has_events || now > last + QUIET)) return;
        step(run, deadline);
    }
    if (run->free_count < run->options.connections)
        die("%ld answers did not come within %d seconds", run->options.connections - run->free_count, ANSWER_SECONDS);
}

static uint64_t unsent(const struct run *run) {
    uint64_t requests = run->requests;
    if (run->phase.kind != SCHEDULE) return 0;
    while (due_at(run, requests) < run->until) requests++;
    return (requests - run->requests) * (uint64_t)(run->phase.batch ? run->phase.batch : 1);
}

static void print_times(const char *name, const struct times *times) {
    printf(",\"%s_p50_us\":%.0f,\"%s_p99_us\":%.0f,\"%s_p999_us\":%.0f", name, percentile(times, 0.5), name,
        percentile(times, 0.99), name, percentile(times, 0.999));
}

static double seconds_of(const struct run *run, double elapsed) {
    uint64_t answer = run->counts.last_answer, event = run->counts.received ? run->last_event : 0;
    uint64_t last = answer > event ? answer : event;
    return has_own_pace(run) && last ? (double)(last - run->began) / 1e9 : elapsed;
}

static void report(const struct run *run, double elapsed, double cpu) {
    const struct counts *c = &run->counts;
    double offered = (double)(c->sent + unsent(run)) * (double)readers(run);
    double skipped = readers(run) ? offered - (double)c->received : 0;
    printf("{\"phase\":\"%s\",\"sent\":%llu,\"unsent\":%llu,\"failures\":%llu,\"updates_per_second\":%.1f",
        run->phase.name, (unsigned long long)c->sent, (unsigned long long)unsent(run), (unsigned long long)c->failures,
        (double)c->updates / seconds_of(run, elapsed));
    print_times("push", &run->pushed);
    printf(",\"received\":%llu,\"skipped\":%.0f,\"lost_streams\":%llu", (unsigned long long)c->received, skipped,
        (unsigned long long)c->lost);
    printf(",\"events_per_second\":%.1f,\"bytes_per_second\":%.0f", (double)c->events / seconds_of(run, elapsed),
        (double)c->bytes / elapsed);
    print_times("event", &run->delivered);
    printf(",\"client_cpu\":%.3f}\n", cpu / elapsed);
    fflush(stdout);
}

static void perform(struct run *run, struct phase phase) {
    begin(run, phase);
    alarm((unsigned)((run->until - run->began) / SECOND) + ANSWER_SECONDS + SPARE_SECONDS);
    double cpu = cpu_seconds();
    while (now_ns() < run->until) {
        post_what_is_due(run);
        if (phase.kind == FILL && batch_of(run) <= 0 && run->free_count == run->options.connections) break;
        set_timer(run);
        step(run, run->until);
    }
    double elapsed = (double)(now_ns() - run->began) / 1e9;
    cpu = cpu_seconds() - cpu;
    if (phase.kind == FILL && batch_of(run) > 0) die("the jobs were not filled within %d seconds", FILL_SECONDS);
    drain(run);
    report(run, elapsed, cpu);
}

static struct phase phase_of(char *text) {
    struct phase phase = {.name = strdup(text)};
    char *batch = strrchr(text, 'x');
    if (batch) { *batch = 0; phase.batch = atol(batch + 1); }
    phase.rate = atof(text);
    if (!strcmp(text, "loop")) phase.kind = LOOP;
    else if (!strcmp(text, "each")) phase.kind = EACH;
    else if (!strcmp(text, "fill")) phase.kind = FILL;
    else if (!strcmp(text, "idle")) phase.kind = IDLE;
    else if (phase.rate > 0) phase.kind = SCHEDULE;
    else die("%s is no phase", text);
    if (phase.batch < 0 || phase.batch > 10000) die("a batch has 1 to 10,000 updates");
    return phase;
}

/* ---- the whole run ---- */

static void open_streams(struct run *run) {
    long asked = 0, wanted = run->options.streams - run->options.silent;
    uint64_t deadline = now_ns() + (uint64_t)OPEN_SECONDS * SECOND;
    while (run->open_count < wanted) {
        while (asked < wanted && asked - run->open_count < OPENING) open_stream(run, asked++);
        step(run, deadline);
        if (now_ns() > deadline) die("%ld of %ld streams opened in %d seconds", run->open_count, wanted, OPEN_SECONDS);
        if (run->counts.lost) die("the server closed a stream while others were opened");
    }
    for (; asked < run->options.streams; asked++) ask_for_stream(run, dial(&run->options, 1), asked); /* never read */
}

static void open_posters(struct run *run) {
    for (long i = 0; i < run->options.connections; i++) {
        struct peer *poster = &run->posters[i];
        poster->fd = dial(&run->options, 0);
        listen_to(run, poster, EPOLL_CTL_ADD, EPOLLIN);
        set_free(run, poster);
    }
}

static void prepare(struct run *run) {
    struct epoll_event tick = {.events = EPOLLIN};
    run->posters = zeroed(run->options.connections, sizeof *run->posters);
    run->free = zeroed(run->options.connections, sizeof(struct peer *));
    run->streams = zeroed(run->options.streams, sizeof *run->streams);
    run->poll = epoll_create1(0);
    run->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    run->sequence = (long)(now_ns() / 1000);
    run->began = UINT64_MAX; /* nothing counts yet */
    if (run->poll < 0 || run->timer < 0 || epoll_ctl(run->poll, EPOLL_CTL_ADD, run->timer, &tick))
        die("cannot wait for events: %s", strerror(errno));
}

static void settle(struct run *run) {
    uint64_t quiet = (uint64_t)(run->options.settle * 1e9), opened_at = now_ns(), until;
    run->last_event = opened_at;
    while (run->options.streams && now_ns() < (until = run->last_event + quiet)) {
        step(run, until);
        if (now_ns() > opened_at + (uint64_t)SETTLE_SECONDS * SECOND)
            die("the streams were not quiet within %d seconds", SETTLE_SECONDS);
    }
    printf("{\"open\":%ld}\n", run->options.streams);
    fflush(stdout);
}

static void run_all(const struct options *options) {
    struct run *run = zeroed(1, sizeof *run);
    run->options = *options;
    alarm(OPEN_SECONDS + SETTLE_SECONDS + SPARE_SECONDS);
    prepare(run);
    open_streams(run);
    open_posters(run);
    settle(run);
    char *phases = strdup(options->phases), *rest = phases;
    for (char *text; (text = strsep(&rest, ","));) perform(run, phase_of(text));
}

static void set_option(struct options *options, char *word) {
    struct { const char *name; const char **text; long *number; double *real; } known[] = {
        {"host", &options->host, 0, 0}, {"token", &options->token, 0, 0}, {"path", &options->path, 0, 0},
        {"phases", &options->phases, 0, 0}, {"port", 0, &options->port, 0}, {"jobs", 0, &options->jobs, 0},
        {"connections", 0, &options->connections, 0}, {"projects", 0, &options->projects, 0},
        {"streams", 0, &options->streams, 0}, {"silent", 0, &options->silent, 0},
        {"ready", &options->ready, 0, 0}, {"settle", 0, 0, &options->settle}, {"seconds", 0, 0, &options->seconds},
    };
    char *value = strchr(word, '=');
    if (!value) die("%s is not name=value", word);
    *value++ = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(word, known[i].name)) continue;
        if (known[i].text) *known[i].text = value;
        else if (known[i].number) *known[i].number = atol(value);
        else *known[i].real = atof(value);
        return;
    }
    die("%s is no option; they stand at the top of load.c", word);
}

static void check(const struct options *options) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (options->port < 1 || options->port > 65535) die("port= must be 1 to 65535");
    if (options->jobs < 1 || options->projects < 0) die("jobs= must be at least 1, projects= at least 0");
    if (options->connections < 1 || options->streams < 0) die("connections= must be at least 1, streams= at least 0");
    if (options->silent < 0 || options->silent > options->streams) die("silent= must be at most streams=");
    if (options->streams && *options->path != '/') die("streams need a path=/...");
    if (options->seconds <= 0 || options->seconds > 3600) die("seconds= must be above 0, at most 3600");
    if ((rlim_t)(options->streams + options->connections + 16) > files.rlim_max)
        die("%ld streams need more files than ulimit -n allows: %lu", options->streams, (unsigned long)files.rlim_max);
}

static int is_target(const char *word) {
    const char *known[] = {"push", "read", "echo", "publish", "sink"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strcmp(word, known[i])) return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    struct options options = {.host = "127.0.0.1", .token = "", .path = "", .phases = "loop", .connections = 4,
        .jobs = 1000, .settle = 1, .seconds = 2, .ready = ""};
    if (argc < 2 || !is_target(argv[1])) die("usage: load push|read|echo|publish|sink port=N name=value...; see load.c");
    options.target = argv[1];
    for (int i = 2; i < argc; i++) set_option(&options, argv[i]);
    check(&options);
    if (!strcmp(options.target, "sink")) sink((int)options.port, options.seconds);
    else run_all(&options);
    return 0;
}
