/* Loads servers of Phoenix channels, version 2.0.0, over WebSocket: one thread, any number of users.
 *
 *   load --mode=MODE --ports=PORT[,PORT] --tokens=FILE --users=N [--topic=T] [--event=E] [--no-join] [--hold]
 *        [--window=N] [--whole] [--senders=N] [--rate=N] [--seconds=S] [--cpu=PID[,PID]]
 *
 * FILE has a line "USER_ID TOKEN" for each user. Users connect to the ports in turn. "%u" in a topic is the user's id.
 *
 *   connect    connect and join (with --no-join only connect); with --hold stay until the standard input ends
 *   push       each user keeps WINDOW pushes of the event unanswered
 *   broadcast  the first user pushes an event that everyone receives; at most WINDOW of them are unfinished. One is
 *              finished when there are as many deliveries as members, whoever got them; with --whole, when each
 *              member has it. Or all users push in turn, RATE a second
 *   chat       the first SENDERS users send to random others: each has WINDOW unanswered, or all together send RATE a
 *              second
 *   return     join with after_id, wait until the server is gone, then join again with the last id that was seen
 *
 * Prints "ready" when all have joined, in mode `return` "gone" when all connections are lost, and at the end one line of
 * JSON. The first fifth of the measured time is a warm-up and does not count. The CPU time is that of the processes PID.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "measure.h"

enum {
    AT_ONCE = 256,     /* connections that are opened at a time */
    MOST = 1024,      /* unanswered pushes of one user */
    PATIENCE = 120,   /* seconds for everyone to join */
    RETRY_MS = 20,    /* between attempts to reach a server that is gone */
};

struct user {
    struct client client; /* the first member, so that a pointer to it is a pointer to the user */
    int number, port, is_joined;
    char id[24], topic[96], *token;
    uint64_t opened;           /* the time of its connect */
    uint64_t sent_at[MOST];    /* the times of the unanswered pushes; answers come in order */
    unsigned first, unanswered;
    long long last_seen;       /* the id of a message */
    uint64_t had;              /* broadcasts that it has received */
};

static struct {
    const char *mode, *tokens, *topic, *event;
    int ports[16], port_count, users, window, senders, joins, hold, whole;
    int pids[16], pid_count;
    double rate, seconds;
} options = {.topic = "lab:room:bench", .event = "echo", .users = 100, .window = 1, .senders = 1, .joins = 1,
             .seconds = 2};

static struct {
    uint64_t sent, replies, errors, deliveries, bytes;
    struct histogram reply, delivery, crossing, join;
} counts;

static struct user *users;
static int joined, under_way, lost, missed; /* numbers of users; `missed` got new messages with their join */
static uint64_t sent_ever, delivered_ever;
static uint64_t whole_ever; /* broadcasts that all members have had */
static int behind;          /* members that have had no more */
static int is_refilling;
static int catches_up;
static uint64_t first_open;

/* Sending */

static void push(struct user *user) {
    char text[512];
    uint64_t time = now();
    int size;
    if (strcmp(options.mode, "chat") == 0) {
        struct user *other = &users[(user->number + 1 + rand() % (options.users - 1)) % options.users];
        size = snprintf(text, sizeof text,
                        "[\"1\",\"2\",\"%s\",\"%s\",{\"to\":\"%s\",\"message\":\"@%llu@%d@ Is it still there?\"}]",
                        user->topic, options.event, other->id, (unsigned long long)time, user->number);
    } else {
        size = snprintf(text, sizeof text, "[\"1\",\"2\",\"%s\",\"%s\",{\"body\":\"@%llu@%d@ Is it still there?\"}]",
                        user->topic, options.event, (unsigned long long)time, user->number);
    }
    if (user->unanswered < MOST) {
        user->sent_at[(user->first + user->unanswered) % MOST] = time;
        user->unanswered++;
    }
    counts.sent++;
    sent_ever++;
    client_send(&user->client, text, size);
}

static void refill(struct user *user) {
    while (is_refilling && user->client.state == OPEN && user->unanswered < (unsigned)options.window) push(user);
}

static void join(struct user *user) {
    char text[256], params[64] = "{}";
    if (catches_up) snprintf(params, sizeof params, "{\"after_id\":%lld}", user->last_seen);
    int size = snprintf(text, sizeof text, "[\"1\",\"1\",\"%s\",\"phx_join\",%s]", user->topic, params);
    client_send(&user->client, text, size);
}

/* Receiving */

static void is_ready(struct user *user, uint64_t time) {
    user->is_joined = 1;
    joined++;
    under_way--;
    record(&counts.join, time - user->opened);
}

static void on_open(struct client *client) {
    struct user *user = (struct user *)client;
    if (!first_open) first_open = now();
    if (options.joins) join(user);
    else is_ready(user, now());
}

/* Every member has had one more broadcast: find the number that all have had, and who has had no more. */
static void count_whole(void) {
    whole_ever = users[0].had;
    for (int i = 1; i < options.users; i++)
        if (users[i].had < whole_ever) whole_ever = users[i].had;
    for (int i = 0; i < options.users; i++) behind += users[i].had == whole_ever;
}

static int has(const char *text, size_t size, const char *word) { return memmem(text, size, word, strlen(word)) != NULL; }

/* Record the ids of the messages in the answer to a join. */
static void see(struct user *user, const char *text, size_t size) {
    long long before = user->last_seen;
    for (const char *id; (id = memmem(text, size, "{\"id\":", 6)); text = id + 6) {
        size -= id + 6 - text;
        long long value = atoll(id + 6);
        if (value > user->last_seen) user->last_seen = value;
    }
    if (user->last_seen > before) missed++;
}

static void on_reply(struct user *user, const char *text, size_t size, uint64_t time) {
    int is_ok = has(text, size, "\"status\":\"ok\"");
    if (!is_ok && counts.errors++ == 0) fprintf(stderr, "an error: %.*s\n", (int)(size < 300 ? size : 300), text);
    if (!user->is_joined) {
        if (catches_up) see(user, text, size);
        if (is_ok) is_ready(user, time);
        return;
    }
    counts.replies++;
    if (user->unanswered) {
        record(&counts.reply, time - user->sent_at[user->first]);
        user->first = (user->first + 1) % MOST;
        user->unanswered--;
    }
    refill(user);
}

static void on_text(struct client *client, const char *text, size_t size, uint64_t time) {
    struct user *user = (struct user *)client;
    counts.bytes += size;
    if (has(text, size < 200 ? size : 200, "\"phx_reply\"")) {
        on_reply(user, text, size, time);
        return;
    }
    const char *mark = memchr(text, '@', size);
    if (!mark) return;
    char *rest;
    uint64_t sent = strtoull(mark + 1, &rest, 10);
    int sender = atoi(rest + 1);
    counts.deliveries++;
    delivered_ever++;
    if (user->had++ == whole_ever && --behind == 0) count_whole();
    record(&counts.delivery, time - sent);
    if (sender >= 0 && sender < options.users && users[sender].port != user->port)
        record(&counts.crossing, time - sent);
}

static void on_lost(struct client *client, const char *reason) {
    struct user *user = (struct user *)client;
    if (user->is_joined) joined--;
    else under_way--;
    user->is_joined = 0;
    user->unanswered = 0;
    if (lost++ == 0 && strcmp(options.mode, "return") != 0) fprintf(stderr, "a connection was lost: %s\n", reason);
}

/* The modes */

static void open_user(struct user *user) {
    char path[2048];
    snprintf(path, sizeof path, "/socket/websocket?token=%s&vsn=2.0.0", user->token);
    user->opened = now();
    under_way++;
    client_open(&user->client, user->port, path);
}

static double connect_all(void) {
    uint64_t start = now();
    for (int opened = 0; joined + lost < options.users;) {
        while (opened < options.users && opened - joined - lost < AT_ONCE) open_user(&users[opened++]);
        loop_step(100);
        if (now() - start > PATIENCE * SECOND) break;
    }
    double seconds = (now() - start) / 1e9;
    behind = options.users;
    if (joined < options.users) {
        fprintf(stderr, "only %d of %d users joined\n", joined, options.users);
        exit(1);
    }
    printf("ready\n");
    fflush(stdout);
    return seconds;
}

static void hold(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char ignored[64];
    while (poll(&input, 1, 0) == 0 || read(0, ignored, sizeof ignored) > 0) loop_step(50);
}

static void send_by_rate(int senders, uint64_t until) {
    static uint64_t next;
    static int turn;
    if (!next) next = now();
    for (uint64_t time; (time = now()) < until;) {
        for (; next <= time; next += SECOND / options.rate) {
            struct user *user = &users[turn++ % senders];
            if (user->client.state == OPEN) push(user);
        }
        loop_step(1);
    }
}

static void send_broadcasts(uint64_t until) {
    uint64_t members = options.users;
    while (now() < until) {
        while (options.whole ? sent_ever < whole_ever + options.window
                             : sent_ever * members < delivered_ever + options.window * members)
            push(&users[0]);
        loop_step(10);
    }
}

static void send_until(uint64_t until) {
    int is_chat = strcmp(options.mode, "chat") == 0;
    int senders = is_chat && options.senders < options.users ? options.senders : options.users;
    if (options.rate > 0) {
        send_by_rate(senders, until);
    } else if (strcmp(options.mode, "broadcast") == 0) {
        send_broadcasts(until);
    } else {
        is_refilling = 1;
        for (int i = 0; i < senders; i++) refill(&users[i]);
        while (now() < until) loop_step(10);
    }
}

/* Wait until the server is gone, then connect again; returns the seconds from the first user to the last. */
static double come_back(void) {
    while (joined) loop_step(100);
    printf("gone\n");
    fflush(stdout);
    lost = missed = first_open = 0;
    memset(&counts, 0, sizeof counts);
    uint64_t start = now(), retry = 0;
    for (int next = 0; joined < options.users && now() - start < PATIENCE * SECOND;) {
        int before = lost;
        if (now() >= retry) {
            for (; under_way < AT_ONCE && joined + under_way < options.users; next++) {
                struct user *user = &users[next % options.users];
                if (user->client.state == CLOSED) open_user(user);
                if (lost > before) break;
            }
        }
        loop_step(5);
        if (lost > before) retry = now() + RETRY_MS * (SECOND / 1000);
    }
    return (now() - first_open) / 1e9;
}

/* Wait for the answers that are still due, so that the server does not answer to closed connections. */
static void drain(void) {
    uint64_t seen = counts.bytes, quiet_since = now(), start = quiet_since;
    is_refilling = 0;
    while (now() - quiet_since < SECOND / 20 && now() - start < 2 * SECOND) {
        loop_step(10);
        if (counts.bytes != seen) quiet_since = now();
        seen = counts.bytes;
    }
}

/* Options and report */

static void read_tokens(void) {
    FILE *file = fopen(options.tokens, "r");
    char line[2048];
    users = calloc(options.users, sizeof *users);
    if (!file || !users) {
        perror(options.tokens);
        exit(2);
    }
    for (int i = 0; i < options.users; i++) {
        struct user *user = &users[i];
        char token[1500];
        if (!fgets(line, sizeof line, file) || sscanf(line, "%20s %1499s", user->id, token) != 2) {
            fprintf(stderr, "%s has only %d tokens\n", options.tokens, i);
            exit(2);
        }
        user->number = i;
        user->port = options.ports[i % options.port_count];
        user->token = strdup(token);
        const char *place = strstr(options.topic, "%u");
        if (place) {
            int before = (int)(place - options.topic);
            snprintf(user->topic, sizeof user->topic, "%.*s%s%s", before, options.topic, user->id, place + 2);
        } else {
            snprintf(user->topic, sizeof user->topic, "%s", options.topic);
        }
    }
    fclose(file);
}

static int read_numbers(char *list, int *numbers) {
    int count = 0;
    for (char *part = strtok(list, ","); part && count < 16; part = strtok(NULL, ",")) numbers[count++] = atoi(part);
    return count;
}

static void read_options(int count, char **arguments) {
    static const struct option known[] = {
        {"mode", 1, 0, 'm'},    {"ports", 1, 0, 'p'},   {"tokens", 1, 0, 'k'},  {"users", 1, 0, 'n'},
        {"topic", 1, 0, 't'},   {"event", 1, 0, 'e'},   {"no-join", 0, 0, 'j'}, {"hold", 0, 0, 'h'},
        {"whole", 0, 0, 'o'},
        {"window", 1, 0, 'w'},  {"senders", 1, 0, 's'}, {"rate", 1, 0, 'r'},    {"seconds", 1, 0, 'd'},
        {"cpu", 1, 0, 'c'},     {0, 0, 0, 0},
    };
    for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
        switch (option) {
        case 'm': options.mode = optarg; break;
        case 'p': options.port_count = read_numbers(optarg, options.ports); break;
        case 'k': options.tokens = optarg; break;
        case 'n': options.users = atoi(optarg); break;
        case 't': options.topic = optarg; break;
        case 'e': options.event = optarg; break;
        case 'j': options.joins = 0; break;
        case 'h': options.hold = 1; break;
        case 'o': options.whole = 1; break;
        case 'w': options.window = atoi(optarg); break;
        case 's': options.senders = atoi(optarg); break;
        case 'r': options.rate = atof(optarg); break;
        case 'd': options.seconds = atof(optarg); break;
        case 'c': options.pid_count = read_numbers(optarg, options.pids); break;
        default: exit(2);
        }
    }
    if (!options.mode || !options.tokens || !options.port_count || options.users < 2 || options.window > MOST) {
        fprintf(stderr, "load: --mode, --ports and --tokens are needed, two users or more, a window of at most %d\n", MOST);
        exit(2);
    }
}

static double cpu_of_servers(void) {
    double seconds = 0;
    for (int i = 0; i < options.pid_count; i++) seconds += cpu_of(options.pids[i]);
    return seconds;
}

static void print_latency(const char *name, const struct histogram *histogram) {
    printf("\"%s\":{\"count\":%llu,\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f},", name, (unsigned long long)histogram->total,
           percentile(histogram, 0.5), percentile(histogram, 0.99), histogram->longest / 1e6);
}

static void report(double seconds, double own, double servers) {
    printf("{\"seconds\":%.3f,\"sent\":%llu,\"replies\":%llu,\"errors\":%llu,\"deliveries\":%llu,\"joined\":%d,",
           seconds, (unsigned long long)counts.sent, (unsigned long long)counts.replies,
           (unsigned long long)counts.errors, (unsigned long long)counts.deliveries, joined);
    printf("\"lost\":%d,\"caught_up\":%d,", lost, missed);
    print_latency("reply_ms", &counts.reply);
    print_latency("delivery_ms", &counts.delivery);
    print_latency("crossing_ms", &counts.crossing);
    print_latency("join_ms", &counts.join);
    printf("\"own_cpu\":%.4f,\"server_cpu\":%.4f}\n", own, servers);
    fflush(stdout);
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    read_tokens();
    srand(1);
    int returns = strcmp(options.mode, "return") == 0;
    catches_up = returns;
    loop_start((struct events){on_open, on_text, on_lost});
    double servers = cpu_of_servers(), own = own_cpu();
    double seconds = connect_all();
    if (returns) {
        seconds = come_back();
    } else if (strcmp(options.mode, "connect") != 0) {
        uint64_t length = options.seconds * SECOND, begin = now();
        send_until(begin + length / 5);
        memset(&counts, 0, sizeof counts);
        uint64_t start = now();
        servers = cpu_of_servers(), own = own_cpu();
        send_until(begin + length);
        seconds = (now() - start) / 1e9;
    }
    report(seconds, own_cpu() - own, cpu_of_servers() - servers);
    if (options.hold) hold();
    else if (counts.sent) drain();
    for (int i = 0; i < options.users; i++) client_cut(&users[i].client);
    return 0;
}
