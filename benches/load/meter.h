/*
 * What is measured: the server's own CPU clock and memory, and latencies.
 *
 * CPU time is /proc/PID/task/TID/schedstat, which the kernel keeps in nanoseconds
 * and charges at each context switch; "utime" counts ticks.
 */
#ifndef BENCHES_METER_H
#define BENCHES_METER_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void sleep_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* CPU time of all threads of a process, in nanoseconds; 0 for no process. */
static uint64_t cpu_ns(int pid)
{
    char name[320];
    struct dirent *entry;
    unsigned long long sum = 0, one;
    if (!pid)
        return 0;
    snprintf(name, sizeof name, "/proc/%d/task", pid);
    DIR *tasks = opendir(name);
    if (!tasks)
        return 0;
    while ((entry = readdir(tasks))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "/proc/%d/task/%s/schedstat", pid, entry->d_name);
        FILE *file = fopen(name, "r");
        if (!file)
            continue;
        if (fscanf(file, "%llu", &one) == 1)
            sum += one;
        fclose(file);
    }
    closedir(tasks);
    return sum;
}

/*
 * Anonymous memory of a process in KiB. The pages of libraries are left out: the
 * share that is charged for them changes whenever another process starts.
 */
static long pss_kib(int pid)
{
    char line[256];
    long size = 0;
    snprintf(line, sizeof line, "/proc/%d/smaps_rollup", pid);
    FILE *file = fopen(line, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Pss_Anon: %ld", &size) == 1)
            break;
    fclose(file);
    return size;
}

typedef struct {
    uint64_t *values;
    size_t count, capacity;
} samples_t;

static samples_t samples;

static void sample(uint64_t value)
{
    if (samples.count == samples.capacity) {
        samples.capacity = samples.capacity ? samples.capacity * 2 : 65536;
        samples.values = realloc(samples.values, samples.capacity * sizeof value);
        if (!samples.values)
            exit(1);
    }
    samples.values[samples.count++] = value;
}

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static uint64_t percentile(double share)
{
    if (!samples.count)
        return 0;
    size_t at = (size_t)(share * (double)samples.count);
    return samples.values[at < samples.count ? at : samples.count - 1];
}

/* KiB of the server when warm and at the end, where that is asked for. */
static long memory[2];

/* One line of JSON; the caller adds nothing. */
static void report(uint64_t operations, uint64_t cpu, uint64_t wall, uint64_t bytes)
{
    qsort(samples.values, samples.count, sizeof *samples.values, by_value);
    printf(
        "{\"operations\": %llu, \"cpu_ns\": %llu, \"wall_ns\": %llu, "
        "\"p50_ns\": %llu, \"p99_ns\": %llu, \"max_ns\": %llu, "
        "\"received\": %llu, \"memory_kib\": [%ld, %ld]}\n",
        (unsigned long long)operations, (unsigned long long)cpu,
        (unsigned long long)wall, (unsigned long long)percentile(0.5),
        (unsigned long long)percentile(0.99), (unsigned long long)percentile(1.0),
        (unsigned long long)bytes, memory[0], memory[1]);
}

#endif
