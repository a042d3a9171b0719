/* A WebSocket client that never blocks. It collects what it sends, and writes it after the current events. */
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
    struct bytes in;      /* an incomplete frame */
    struct bytes out;
    size_t written;       /* bytes of `out` that are written */
    int is_flush_due;     /* it is on the list of clients to flush */
    int waits_to_write;   /* until epoll says that the kernel takes more */
};

/* The loop calls these. A lost client is CLOSED; it may be opened again, but not within the call. */
struct events {
    void (*on_open)(struct client *client);
    void (*on_text)(struct client *client, const char *text, size_t size, uint64_t received);
    void (*on_lost)(struct client *client, const char *reason);
};

void loop_start(struct events events);

/* Wait for events, at most so many milliseconds, handle them, and write what was sent. */
void loop_step(int milliseconds);

/* Connect to a port of 127.0.0.1 and ask for the upgrade. */
void client_open(struct client *client, int port, const char *path);
void client_send(struct client *client, const char *text, size_t size);

/* Reset the connection, so that its port is free at once. */
void client_cut(struct client *client);

#endif
