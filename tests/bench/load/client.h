/* A WebSocket client that never blocks. What it sends is collected, and written when the events at hand are done. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stddef.h>
#include <stdint.h>

enum client_state { CLOSED, UPGRADING, OPEN };

struct bytes {
    char *data;
    size_t size, room;
};

struct client {
    int fd;
    enum client_state state;
    struct bytes in;      /* the beginning of a frame whose end has not come yet */
    struct bytes out;
    size_t written;       /* of `out` */
    int is_flush_due;     /* it is on the list of those to be flushed */
    int waits_to_write;   /* epoll tells when the kernel takes more */
};

/* What the loop calls. A client that was lost is CLOSED; it may be opened again, but not from in here. */
struct events {
    void (*on_open)(struct client *client);
    void (*on_text)(struct client *client, const char *text, size_t size, uint64_t received);
    void (*on_lost)(struct client *client, const char *reason);
};

void loop_start(struct events events);

/* Wait for something to happen, at most so many milliseconds, handle it, and write what was sent meanwhile. */
void loop_step(int milliseconds);

/* Connect to a port of 127.0.0.1 and ask for the upgrade. */
void client_open(struct client *client, int port, const char *path);
void client_send(struct client *client, const char *text, size_t size);

/* Cut the connection without a word: no port is left waiting behind it. */
void client_cut(struct client *client);

#endif
