/*
 * The process of a foreign allocator: loads the library, maps the arena, and runs what Python asks
 * for, until Python closes the pipe.
 *
 *     runner LIBRARY SIZE BASE ALIGNMENT CHECKS ASKED TOLD COMMANDS REPLIES
 *
 * The last four are descriptors. A command is one byte; so is a reply: 0.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <unistd.h>

#include "events.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define MOST_OUTPUT (1 << 20)
/* Where the arena cannot lie at its address, it is so aligned as there. */
#define CONGRUENT ((uint64_t)1 << 20)

struct runner {
    struct rh_trial trial;
    int asked_file, told_file, commands, replies;
    size_t asked_bytes, told_bytes, slots_bytes; /* that are mapped */
};

/* ------------------------------------------------------------------ memory */

static void *mapped(void *old, size_t old_bytes, size_t bytes, int access, int file) {
    if (old != NULL) munmap(old, old_bytes);
    void *memory = mmap(NULL, bytes, access, MAP_SHARED, file, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void *zeros(uint64_t bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    void *memory = mmap(NULL, (size_t)bytes + 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Address space without access: at `start`, or with the same place in CONGRUENT. */
static unsigned char *space(uint64_t start, uint64_t bytes) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (start != 0 && start + bytes > start && start + bytes - 1 <= UINTPTR_MAX) {
        void *wanted = (void *)(uintptr_t)start;
        void *memory = mmap(wanted, (size_t)bytes, PROT_NONE, flags | MAP_FIXED_NOREPLACE, -1, 0);
        if (memory == wanted) return memory;
        if (memory != MAP_FAILED) munmap(memory, (size_t)bytes);
    }
    if (bytes > SIZE_MAX / 2) return NULL;
    unsigned char *memory = mmap(NULL, (size_t)(bytes + CONGRUENT), PROT_NONE, flags, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    const uint64_t apart = (start - (uint64_t)(uintptr_t)memory) % CONGRUENT;
    return memory + apart;
}

/* The arena, between pages that trap. What is left of its own pages is the margins. */
static bool map_arena(struct rh_trial *trial) {
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t before = trial->base % page;
    if (trial->size > UINT64_MAX / 2) return false;
    const uint64_t inner = (before + trial->size + page - 1) / page * page;
    unsigned char *start = space(trial->base - before - page, inner + 2 * page);
    if (start == NULL) return false;
    trial->before = start + page;
    trial->memory = trial->before + before;
    trial->end = trial->before + inner;
    return mprotect(trial->before, (size_t)inner, PROT_READ | PROT_WRITE) == 0;
}

/* What Python made larger is mapped anew. */
static bool map_shared(struct runner *runner) {
    struct rh_trial *trial = &runner->trial;
    const size_t asked_bytes = (size_t)trial->asked->bytes;
    const size_t told_bytes = (size_t)trial->asked->told_bytes;
    const size_t slots_bytes = (size_t)trial->asked->slots * sizeof *trial->slots;
    if (asked_bytes > runner->asked_bytes) {
        trial->asked = mapped((void *)trial->asked, runner->asked_bytes, asked_bytes, PROT_READ,
                              runner->asked_file);
        runner->asked_bytes = asked_bytes;
    }
    if (told_bytes > runner->told_bytes) {
        trial->told = mapped(trial->told, runner->told_bytes, told_bytes, PROT_READ | PROT_WRITE,
                             runner->told_file);
        runner->told_bytes = told_bytes;
    }
    if (trial->asked == NULL || trial->told == NULL) return false;
    if (slots_bytes > runner->slots_bytes) {
        void *slots = runner->slots_bytes == 0 ? zeros(slots_bytes)
                                               : mremap(trial->slots, runner->slots_bytes + 1,
                                                        slots_bytes + 1, MREMAP_MAYMOVE);
        if (slots == NULL || slots == MAP_FAILED) return false;
        trial->slots = slots;
        runner->slots_bytes = slots_bytes;
    }
    return true;
}

/* ------------------------------------------------------------------ the library */

/* A function pointer cannot be had of a void * by a cast in C. */
static bool find(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

static void load(struct rh_trial *trial, const char *path) {
    struct rh_functions *f = &trial->functions;
    struct rh_told *told = trial->told;
    told->call = RH_CALL_LOAD;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    told->call = RH_CALL_NONE;
    if (library == NULL) {
        const char *text = dlerror();
        if (text != NULL && write(STDERR_FILENO, text, strlen(text)) < 0) _exit(1);
        told->complaint = RH_COMPLAINT_LOAD;
        return;
    }
#define FIND(name, number)                                                                         \
    if (find(library, "rh_foreign_" #name, &f->name)) told->functions |= (uint64_t)1 << (number)
    FIND(init, RH_CALL_INIT);
    FIND(malloc, RH_CALL_MALLOC);
    FIND(free, RH_CALL_FREE);
    FIND(realloc, RH_CALL_REALLOC);
    FIND(aligned, RH_CALL_ALIGNED);
    FIND(usable_size, RH_CALL_USABLE_SIZE);
    FIND(free_size, RH_CALL_FREE_SIZE);
    FIND(walk, RH_CALL_WALK);
#undef FIND
    if (f->init == NULL || f->malloc == NULL || f->free == NULL)
        told->complaint = RH_COMPLAINT_LACKS;
}

static void begin(struct runner *runner, const char *path) {
    struct rh_trial *trial = &runner->trial;
    struct rh_told *told = trial->told;
    told->word = sizeof(void *);
    trial->taken = zeros((trial->size / trial->alignment + 128) / 8);
    if (trial->taken == NULL || !map_arena(trial)) {
        told->complaint = RH_COMPLAINT_MEMORY;
        return;
    }
    rh_trial_begin(trial);
    load(trial, path);
    if (told->complaint != RH_COMPLAINT_NONE) return;
    told->call = RH_CALL_INIT;
    const bool ready = trial->functions.init(trial->memory, (size_t)trial->size);
    told->call = RH_CALL_NONE;
    if (!ready) told->complaint = RH_COMPLAINT_INIT;
}

/* ------------------------------------------------------------------ Python's commands */

static void seal(struct rh_told *told) {
    const uint64_t *words = (const uint64_t *)told;
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof *told / sizeof *words - 1; i++)
        sum += words[i] * (2 * i + 1);
    told->check = ~sum;
}

static void obey(struct runner *runner, char command) {
    struct rh_trial *trial = &runner->trial;
    if (!map_shared(runner)) {
        if (trial->told == NULL) _exit(1);
        trial->told->complaint = RH_COMPLAINT_MEMORY;
        return;
    }
    if (command == 'r') rh_trial_run(trial);
    if (command == 'c') rh_trial_check(trial);
    if (command == 'q') rh_trial_ask(trial);
    if (command == 'w')
        rh_trial_list(trial, (runner->told_bytes - RH_ARRAYS_AT) / (2 * sizeof(uint64_t)));
}

/* Python has gone, or has had enough: whatever their function is at, it ends. */
static void *wait_for_the_end(void *context) {
    struct pollfd pipe = {.fd = *(int *)context, .events = 0};
    while (poll(&pipe, 1, -1) <= 0 || (pipe.revents & (POLLHUP | POLLERR)) == 0)
        continue;
    _exit(0);
}

static void serve(struct runner *runner) {
    char command = 0;
    const char done = 0;
    for (;;) {
        seal(runner->trial.told);
        if (write(runner->replies, &done, 1) != 1) return;
        ssize_t had;
        do
            had = read(runner->commands, &command, 1);
        while (had < 0 && errno == EINTR);
        if (had != 1) return;
        obey(runner, command);
    }
}

/* The same addresses in each run, no core, and no more than some output. */
static void settle_process(char **arguments) {
    const int now = personality(0xFFFFFFFF);
    if (now != -1 && (now & ADDR_NO_RANDOMIZE) == 0 &&
        personality((unsigned long)(now | ADDR_NO_RANDOMIZE)) != -1 &&
        (personality(0xFFFFFFFF) & ADDR_NO_RANDOMIZE) != 0)
        execv("/proc/self/exe", arguments);
    const struct rlimit none = {0, 0}, some = {MOST_OUTPUT, MOST_OUTPUT};
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_FSIZE, &some);
    signal(SIGXFSZ, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

int main(int count, char **arguments) {
    if (count != 10) return 2;
    settle_process(arguments);
    static struct runner runner;
    struct rh_trial *trial = &runner.trial;
    trial->size = strtoull(arguments[2], NULL, 10);
    trial->base = strtoull(arguments[3], NULL, 10);
    trial->alignment = strtoull(arguments[4], NULL, 10);
    trial->checks = (enum rh_checks)atoi(arguments[5]);
    runner.asked_file = atoi(arguments[6]);
    runner.told_file = atoi(arguments[7]);
    runner.commands = atoi(arguments[8]);
    runner.replies = atoi(arguments[9]);
    runner.asked_bytes = runner.told_bytes = RH_ARRAYS_AT;
    trial->asked = mapped(NULL, 0, RH_ARRAYS_AT, PROT_READ, runner.asked_file);
    trial->told = mapped(NULL, 0, RH_ARRAYS_AT, PROT_READ | PROT_WRITE, runner.told_file);
    pthread_t thread;
    if (trial->asked == NULL || trial->told == NULL ||
        pthread_create(&thread, NULL, wait_for_the_end, &runner.commands) != 0)
        return 2;
    begin(&runner, arguments[1]);
    serve(&runner);
    _exit(0);
}
