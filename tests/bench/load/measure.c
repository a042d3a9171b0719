#include "measure.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SUB_BITS = 6, SUBS = 1 << SUB_BITS };

static double seconds_of(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

double own_cpu(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

double cpu_of(int pid) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    size_t size = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[size] = 0;
    /* The program's name is in parentheses and may contain anything. User and system time are 12 fields after it. */
    const char *rest = strrchr(line, ')');
    unsigned long user, system;
    const char *format = ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu";
    if (!rest || sscanf(rest, format, &user, &system) != 2) return 0;
    return (double)(user + system) / sysconf(_SC_CLK_TCK);
}

/* The number of the bucket: the highest bit of the duration, and the six bits below it. */
static unsigned bucket_of(uint64_t duration) {
    if (duration < SUBS) return (unsigned)duration;
    unsigned shift = 63 - SUB_BITS - __builtin_clzll(duration);
    return (shift + 1) * SUBS + ((duration >> shift) & (SUBS - 1));
}

static uint64_t middle_of(unsigned bucket) {
    if (bucket < SUBS) return bucket;
    unsigned shift = bucket / SUBS - 1;
    return ((uint64_t)(SUBS + bucket % SUBS) << shift) + ((1ull << shift) >> 1);
}

void record(struct histogram *histogram, uint64_t duration) {
    histogram->counts[bucket_of(duration)]++;
    histogram->total++;
    if (duration > histogram->longest) histogram->longest = duration;
}

double percentile(const struct histogram *histogram, double share) {
    uint64_t count = 0;
    for (unsigned bucket = 0; bucket < 64 * SUBS; bucket++) {
        count += histogram->counts[bucket];
        if (count && count >= histogram->total * share) return middle_of(bucket) / 1e6;
    }
    return -1;
}
