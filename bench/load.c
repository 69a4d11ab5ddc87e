/* A load client with as little cost of its own as possible: one thread, epoll, prebuilt requests.
 *
 *   load push HOST PORT CONNECTIONS SECONDS JOBS BATCH [TOKEN]   answers/s; latency from sending to answer
 *   load echo HOST PORT CONNECTIONS SECONDS JOBS BATCH           the same requests, sent to /echo
 *   load watch HOST PORT STREAMS SECONDS PATH [TOKEN]            events/s; latency from the "t=NS" in each event
 *
 * BATCH 0 sends single updates to /v1/jobs/ID, else arrays of that many to /v1/updates. PATH may hold one %d, which
 * becomes the number of the stream. Prints one line of JSON; latencies are in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 20000, BUCKETS = 4096, INPUT = 1 << 18 };

struct connection {
    int fd;
    long job, left; /* bytes of the answer's body still to come, -1 while in its head */
    uint64_t sent_at;
    char *out;
    size_t out_length, out_done, kept;
    char tail[512];
};

static struct connection connections[MOST];
static uint64_t histogram[BUCKETS], answers, failures, bytes;
static char input[INPUT + 1];
static long sequence, jobs, batch;
static const char *token = "", *host;
static int is_echo;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Log-linear buckets: 64 steps for each power of two of microseconds. */
static int bucket_of(uint64_t us) {
    int shift = 0;
    while (us >= 128) { us >>= 1; shift++; }
    int bucket = shift ? 64 + shift * 64 + (int)(us - 64) : (int)us;
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double value_of(int bucket) {
    if (bucket < 128) return bucket;
    int shift = (bucket - 64) / 64;
    return (double)((uint64_t)((bucket - 64) % 64 + 64) << shift);
}

static double percentile(double share) {
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++) total += histogram[i];
    for (int i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (total && (double)seen >= share * (double)total) return value_of(i);
    }
    return 0;
}

static void dial(struct connection *c, const char *address, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, address, &to.sin_addr);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) { perror("connect"); exit(1); }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

static size_t update_body(char *to, size_t room, long job, int is_named) {
    sequence++;
    char name[64] = "";
    if (is_named) snprintf(name, sizeof name, "\"job_id\":\"job-%ld\",", job);
    return (size_t)snprintf(to, room,
        "{%s\"writer\":\"bench\",\"seq\":%ld,\"stage\":\"solving\",\"current\":%ld,\"total\":1000000000000000000,"
        "\"message\":\"t=%llu\"}", name, sequence, sequence, (unsigned long long)now_ns());
}

static void build(struct connection *c) {
    static char body[1 << 20];
    size_t length = 0;
    if (batch == 0) {
        c->job = jobs > 1 ? random() % jobs : 0;
        length = update_body(body, sizeof body, c->job, 0);
    } else {
        body[length++] = '[';
        for (long i = 0; i < batch; i++) {
            if (i) body[length++] = ',';
            length += update_body(body + length, sizeof body - length, random() % jobs, 1);
        }
        body[length++] = ']';
    }
    char path[64];
    if (is_echo) snprintf(path, sizeof path, "/echo");
    else if (batch) snprintf(path, sizeof path, "/v1/updates");
    else snprintf(path, sizeof path, "/v1/jobs/job-%ld", c->job);
    c->out = realloc(c->out, length + 512);
    c->out_length = (size_t)sprintf(c->out,
        "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%s%s%sContent-Length: %zu\r\n\r\n", path, host,
        *token ? "Authorization: Bearer " : "", token, *token ? "\r\n" : "", length);
    memcpy(c->out + c->out_length, body, length);
    c->out_length += length;
    c->out_done = 0;
    c->left = -1;
    c->kept = 0;
    c->sent_at = now_ns();
}

static int flush(struct connection *c) {
    while (c->out_done < c->out_length) {
        ssize_t n = write(c->fd, c->out + c->out_done, c->out_length - c->out_done);
        if (n < 0) return errno == EAGAIN;
        c->out_done += (size_t)n;
    }
    return 1;
}

/* Returns 0 when the connection is lost. */
static int on_answer(struct connection *c) {
    memcpy(input, c->tail, c->kept);
    ssize_t n = read(c->fd, input + c->kept, INPUT - c->kept);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    bytes += (uint64_t)n;
    size_t length = c->kept + (size_t)n;
    c->kept = 0;
    if (c->left < 0) {
        input[length] = 0;
        char *end = strstr(input, "\r\n\r\n");
        if (!end) {
            if (length > sizeof c->tail) return 0;
            memcpy(c->tail, input, length);
            c->kept = length;
            return 1;
        }
        if (strncmp(input + 9, "200", 3)) failures++;
        char *field = strcasestr(input, "content-length:");
        c->left = field && field < end ? atol(field + 15) : 0;
        c->left -= (long)(length - (size_t)(end + 4 - input));
    } else {
        c->left -= (long)n;
    }
    if (c->left > 0) return 1;
    answers++;
    histogram[bucket_of((now_ns() - c->sent_at) / 1000)]++;
    build(c);
    return flush(c);
}

static int on_event(struct connection *c) {
    memcpy(input, c->tail, c->kept);
    ssize_t n = read(c->fd, input + c->kept, INPUT - c->kept);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    bytes += (uint64_t)n;
    size_t length = c->kept + (size_t)n;
    input[length] = 0;
    uint64_t now = now_ns();
    char *at = input, *found, *rest = input;
    while ((found = memmem(at, length - (size_t)(at - input), "t=1", 3)) || (found = memmem(at, length - (size_t)(at - input), "t=2", 3))
           || (found = memmem(at, length - (size_t)(at - input), "t=3", 3))) {
        if (length - (size_t)(found - input) < 32) break;
        uint64_t sent = strtoull(found + 2, NULL, 10);
        if (sent && sent < now) histogram[bucket_of((now - sent) / 1000)]++;
        answers++;
        rest = at = found + 3;
    }
    size_t left = length - (size_t)(rest - input);
    c->kept = left < 64 ? left : 64;
    memmove(c->tail, input + length - c->kept, c->kept);
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 7) { fputs("usage: see the top of load.c\n", stderr); return 2; }
    int is_watch = !strcmp(argv[1], "watch");
    is_echo = !strcmp(argv[1], "echo");
    host = argv[2];
    int port = atoi(argv[3]), count = atoi(argv[4]);
    double seconds = atof(argv[5]);
    if (count < 1 || count > MOST) return 2;
    if (is_watch) {
        token = argc > 7 ? argv[7] : "";
    } else {
        jobs = atol(argv[6]);
        batch = argc > 7 ? atol(argv[7]) : 0;
        token = argc > 8 ? argv[8] : "";
    }
    srandom(1);
    sequence = (long)(now_ns() / 1000);
    int poll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        dial(c, host, port);
        if (is_watch) {
            char path[256];
            snprintf(path, sizeof path, argv[6], i);
            c->out = malloc(1024);
            c->out_length = (size_t)sprintf(c->out, "GET %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", path, host,
                *token ? "Authorization: Bearer " : "", token, *token ? "\r\n" : "");
            c->out_done = 0;
        } else {
            build(c);
        }
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event);
        if (!flush(c)) { perror("write"); return 1; }
    }
    uint64_t began = now_ns(), end = began + (uint64_t)(seconds * 1e9);
    struct epoll_event events[512];
    while (now_ns() < end) {
        int ready = epoll_wait(poll, events, 512, 100);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!(is_watch ? on_event(c) : on_answer(c))) {
                failures++;
                epoll_ctl(poll, EPOLL_CTL_DEL, c->fd, NULL);
                close(c->fd);
            }
        }
    }
    double elapsed = (double)(now_ns() - began) / 1e9;
    printf("{\"per_second\":%.1f,\"count\":%llu,\"failures\":%llu,\"p50_us\":%.0f,\"p99_us\":%.0f,\"bytes\":%llu}\n",
        (double)answers / elapsed, (unsigned long long)answers, (unsigned long long)failures, percentile(0.5),
        percentile(0.99), (unsigned long long)bytes);
    return 0;
}
