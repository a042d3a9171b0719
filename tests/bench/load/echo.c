/* A server that does as little as possible: it shows how much load `load` can make.
 *
 *   echo PORT
 *
 * Accepts every upgrade, answers every frame with the same ok reply, and writes a frame that has the word "broadcast"
 * to everyone. It checks nothing: it relies on whole frames, a mask of zeros, and room in the sockets.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 20000, SIZE = 256 * 1024 };

static const char UPGRADED[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
static const char REPLY[] = "[\"1\",\"2\",\"lab:room:bench\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]";

static char is_upgraded[MOST], is_open[MOST];
static int last;
static char input[SIZE], output[SIZE];

static size_t frame(char *at, const char *text, size_t size) {
    at[0] = (char)0x81;
    at[1] = (char)size;
    memcpy(at + 2, text, size);
    return size + 2;
}

static void to_all(const char *text, size_t size) {
    char framed[256];
    size_t length = frame(framed, text, size);
    for (int fd = 0; fd <= last; fd++)
        if (is_open[fd]) send(fd, framed, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void answer(int fd, ssize_t size) {
    ssize_t at = 0;
    size_t written = 0;
    if (!is_upgraded[fd]) {
        is_upgraded[fd] = 1;
        send(fd, UPGRADED, sizeof UPGRADED - 1, MSG_NOSIGNAL);
        return;
    }
    while (size - at >= 6) {
        size_t length = input[at + 1] & 127, head = 6;
        if (length == 126) {
            length = (unsigned char)input[at + 2] << 8 | (unsigned char)input[at + 3];
            head = 8;
        }
        const char *text = input + at + head;
        if (memmem(text, length, "\"broadcast\"", 11)) to_all(text, length);
        else if (written + sizeof REPLY + 2 < SIZE) written += frame(output + written, REPLY, sizeof REPLY - 1);
        at += head + length;
    }
    if (written) send(fd, output, written, MSG_NOSIGNAL);
}

int main(int count, char **arguments) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1, poller = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(count > 1 ? atoi(arguments[1]) : 0)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0) {
        perror("echo");
        return 1;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[512];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int happened = epoll_wait(poller, events, 512, -1);
        for (int i = 0; i < happened; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                fd = accept(listener, NULL, NULL);
                if (fd < 0 || fd >= MOST) return 1;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                is_open[fd] = 1;
                is_upgraded[fd] = 0;
                if (fd > last) last = fd;
                event = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
                epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
                continue;
            }
            ssize_t size = recv(fd, input, SIZE, 0);
            if (size > 0) {
                answer(fd, size);
            } else {
                is_open[fd] = 0;
                close(fd);
            }
        }
    }
}
