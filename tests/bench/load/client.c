#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

enum { TEXT = 1, BINARY = 2, CLOSE = 8 };

static struct events handle;
static int poller;
static struct client **due; /* clients that have something to write */
static size_t due_count, due_room;
static char received[256 * 1024];

void loop_start(struct events events) {
    handle = events;
    poller = epoll_create1(0);
}

static void append(struct bytes *bytes, const char *data, size_t size) {
    if (bytes->size + size > bytes->room) {
        bytes->room = (bytes->size + size) * 2;
        bytes->data = realloc(bytes->data, bytes->room);
        if (!bytes->data) abort();
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void discard(struct bytes *bytes) {
    free(bytes->data);
    *bytes = (struct bytes){0};
}

static void watch(struct client *client, int operation) {
    uint32_t events = EPOLLIN | (client->waits_to_write ? EPOLLOUT : 0);
    struct epoll_event event = {.events = events, .data.ptr = client};
    epoll_ctl(poller, operation, client->fd, &event);
}

static void end(struct client *client) {
    close(client->fd);
    client->state = CLOSED;
    discard(&client->in);
    discard(&client->out);
    client->written = 0;
    client->waits_to_write = 0;
}

static void lose(struct client *client, const char *reason) {
    if (client->state == CLOSED) return;
    end(client);
    handle.on_lost(client, reason);
}

void client_cut(struct client *client) {
    if (client->state == CLOSED) return;
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    end(client);
}

static void flush(struct client *client) {
    while (client->written < client->out.size) {
        ssize_t count =
            send(client->fd, client->out.data + client->written, client->out.size - client->written, MSG_NOSIGNAL);
        if (count < 0) {
            if (errno != EAGAIN && errno != ENOTCONN) {
                lose(client, strerror(errno));
            } else if (!client->waits_to_write) {
                client->waits_to_write = 1;
                watch(client, EPOLL_CTL_MOD);
            }
            return;
        }
        client->written += count;
    }
    client->out.size = client->written = 0;
    if (client->waits_to_write) {
        client->waits_to_write = 0;
        watch(client, EPOLL_CTL_MOD);
    }
}

static void flush_later(struct client *client) {
    if (client->is_flush_due) return;
    client->is_flush_due = 1;
    if (due_count == due_room) {
        due_room = due_room * 2 + 64;
        due = realloc(due, due_room * sizeof *due);
        if (!due) abort();
    }
    due[due_count++] = client;
}

void client_open(struct client *client, int port, const char *path) {
    char request[4096];
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                        path, port);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) {
        perror("socket");
        exit(1);
    }
    int on = 1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    client->state = UPGRADING;
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        lose(client, strerror(errno));
        return;
    }
    append(&client->out, request, size);
    client->waits_to_write = 1;
    watch(client, EPOLL_CTL_ADD);
}

void client_send(struct client *client, const char *text, size_t size) {
    /* A mask of zeros leaves the text as it is, but the server has to unmask it like any other. */
    unsigned char head[14] = {0x80 | TEXT};
    size_t length;
    if (size < 126) {
        head[1] = 0x80 | size;
        length = 6;
    } else {
        head[1] = 0x80 | 126;
        head[2] = size >> 8;
        head[3] = size & 255;
        length = 8;
    }
    append(&client->out, (char *)head, length);
    append(&client->out, text, size);
    if (!client->waits_to_write) flush_later(client);
}

/* Handle the answer to the upgrade; returns its size in bytes, or 0 if it is not complete or was a refusal. */
static size_t upgraded(struct client *client, const char *data, size_t size) {
    const char *last = memmem(data, size, "\r\n\r\n", 4);
    if (!last) return 0;
    if (size < 12 || memcmp(data + 9, "101", 3) != 0) {
        char reason[64];
        snprintf(reason, sizeof reason, "upgrade refused: %.12s", data);
        lose(client, reason);
        return 0;
    }
    client->state = OPEN;
    handle.on_open(client);
    return last + 4 - data;
}

/* Handle the complete frames at the start of the data; returns their size in bytes. */
static size_t parse(struct client *client, const char *data, size_t size, uint64_t time) {
    size_t start = 0;
    if (client->state == UPGRADING && (start = upgraded(client, data, size)) == 0) return 0;
    while (client->state == OPEN && size - start >= 2) {
        const unsigned char *frame = (const unsigned char *)data + start;
        size_t head = 2, length = frame[1] & 127;
        if (length >= 126) {
            size_t digits = length == 126 ? 2 : 8;
            head += digits;
            if (size - start < head) break;
            length = 0;
            for (size_t i = 0; i < digits; i++) length = length << 8 | frame[2 + i];
        }
        if (size - start < head + length) break;
        int kind = frame[0] & 15;
        if (kind == CLOSE) {
            char reason[32];
            snprintf(reason, sizeof reason, "closed with %d", length < 2 ? 0 : frame[head] << 8 | frame[head + 1]);
            lose(client, reason);
        } else if (kind == TEXT || kind == BINARY) {
            handle.on_text(client, (const char *)frame + head, length, time);
        }
        start += head + length;
    }
    return start;
}

static void read_from(struct client *client) {
    ssize_t count = recv(client->fd, received, sizeof received, 0);
    if (count <= 0) {
        if (count == 0 || errno != EAGAIN) lose(client, count == 0 ? "closed" : strerror(errno));
        return;
    }
    uint64_t time = now();
    if (client->in.size == 0) {
        size_t used = parse(client, received, count, time);
        if (client->state != CLOSED && used < (size_t)count) append(&client->in, received + used, count - used);
        return;
    }
    append(&client->in, received, count);
    size_t used = parse(client, client->in.data, client->in.size, time);
    if (client->state == CLOSED) return;
    client->in.size -= used;
    memmove(client->in.data, client->in.data + used, client->in.size);
}

void loop_step(int milliseconds) {
    static struct epoll_event events[1024];
    int count = epoll_wait(poller, events, 1024, due_count ? 0 : milliseconds);
    for (int i = 0; i < count; i++) {
        struct client *client = events[i].data.ptr;
        if (client->state != CLOSED && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_from(client);
        if (client->state != CLOSED && events[i].events & EPOLLOUT) flush(client);
    }
    for (size_t i = 0; i < due_count; i++) {
        due[i]->is_flush_due = 0;
        if (due[i]->state != CLOSED && !due[i]->waits_to_write) flush(due[i]);
    }
    due_count = 0;
}
