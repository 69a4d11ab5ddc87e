/* The other side at its cheapest, to find the load client's own limit: every POST is answered with a fixed 200, and to
 * every GET events are streamed as fast as they are read, 32 a write or, to a GET of /one, one.
 */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 32, EVENT_BYTES = 512, HEAD_BYTES = 2048, READY = 64, BACKLOG = 1024 };

struct client {
    int fd;
    long body_left;
    size_t head_length, length, sent; /* `length` of what is written at a time */
    char head[HEAD_BYTES + 1], *events; /* `events` once it streams */
};

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
static const char STREAM[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/* An event of a fixed size in one chunk, with the time as its mark. */
static void write_event(char *to, uint64_t now) {
    char event[EVENT_BYTES + 1];
    int begun = snprintf(event, sizeof event, "event: progress\nid: bench-1\ndata: {\"message\":\"t=%020llu\",\"x\":\"",
        (unsigned long long)now);
    int room = EVENT_BYTES - 5 - 2; /* without the chunk's length before it and its end behind */
    memset(event + begun, 'x', (size_t)(room - begun));
    memcpy(event + room - 4, "\"}\n\n", 4);
    snprintf(to, 6, "%03x\r\n", (unsigned)room);
    memcpy(to + 5, event, (size_t)room);
    memcpy(to + 5 + room, "\r\n", 2);
}

static void refresh(struct client *client) {
    uint64_t now = now_ns();
    for (size_t at = 0; at < client->length; at += EVENT_BYTES) write_event(client->events + at, now);
}

/* Returns 0 when the client has gone. */
static int stream(struct client *client) {
    if (client->sent == 0) refresh(client);
    ssize_t n = write(client->fd, client->events + client->sent, client->length - client->sent);
    if (n < 0) return errno == EAGAIN;
    client->sent = (client->sent + (size_t)n) % client->length;
    return 1;
}

static int begin_stream(int poll, struct client *client) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = client};
    client->length = EVENT_BYTES * (strncmp(client->head, "GET /one ", 9) ? EVENTS : 1);
    client->events = malloc(client->length + 1);
    if (!client->events) die("no memory for a stream");
    epoll_ctl(poll, EPOLL_CTL_MOD, client->fd, &event);
    return write(client->fd, STREAM, sizeof STREAM - 1) > 0;
}

static int answer(struct client *client) {
    client->head_length = 0;
    return write(client->fd, ANSWER, sizeof ANSWER - 1) > 0;
}

/* Returns 0 when the client has gone, or sends what this server does not read. */
static int take(int poll, struct client *client, const char *data, long length) {
    if (client->body_left) {
        client->body_left -= length;
        return client->body_left ? client->body_left > 0 : answer(client);
    }
    size_t room = HEAD_BYTES - client->head_length, taken = (size_t)length < room ? (size_t)length : room;
    memcpy(client->head + client->head_length, data, taken);
    client->head_length += taken;
    client->head[client->head_length] = 0;
    char *end = strstr(client->head, "\r\n\r\n");
    if (!end) return taken < room;
    if (!strncmp(client->head, "GET", 3)) return begin_stream(poll, client);
    char *field = strcasestr(client->head, "content-length:");
    long there = (long)(client->head_length - (size_t)(end + 4 - client->head)) + length - (long)taken;
    client->body_left = (field && field < end ? atol(field + 15) : 0) - there;
    return client->body_left ? client->body_left > 0 : answer(client);
}

static int on_client(int poll, struct client *client, uint32_t what) {
    static char input[1 << 16];
    if (what & EPOLLIN) {
        ssize_t n = read(client->fd, input, sizeof input);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return 0;
        if (n > 0 && !take(poll, client, input, n)) return 0;
    }
    return what & EPOLLOUT && client->events ? stream(client) : !(what & (EPOLLHUP | EPOLLERR));
}

static void welcome(int poll, int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
    struct client *client = fd < 0 ? NULL : calloc(1, sizeof *client);
    if (!client) return;
    client->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

static void part(struct client *client) {
    close(client->fd);
    free(client->events);
    free(client);
}

static int listening(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, BACKLOG))
        die("cannot listen on port %d: %s", port, strerror(errno));
    return fd;
}

void sink(int port, double seconds) {
    int listener = listening(port), poll = epoll_create1(0);
    uint64_t until = now_ns() + (uint64_t)(seconds * 1e9);
    struct epoll_event events[READY], own = {.events = EPOLLIN};
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &own);
    while (now_ns() < until) {
        int count = epoll_wait(poll, events, READY, 100);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (!client) welcome(poll, listener);
            else if (!on_client(poll, client, events[i].events)) part(client);
        }
    }
}
