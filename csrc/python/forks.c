/* Forks of the process while traces are replayed without the GIL. */
#include "extension.h"

#ifdef _WIN32 /* has no fork */

int forks_watch(void) {
    return 0;
}

void forks_hold_off(void) {
}

void forks_let_go(void) {
}

unsigned forks_generation(void) {
    return 1;
}

#else
#include <pthread.h>

/* Of the process, as a fork is: the one state that no module has. Events are run by readers, and a
 * fork is made by the writer, so that a child finds each heap as it is between two events. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static unsigned generation = 1;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int refused;

static void before_fork(void) {
    pthread_rwlock_wrlock(&lock);
}

static void after_fork(void) {
    pthread_rwlock_unlock(&lock);
}

static void after_fork_in_child(void) {
    pthread_rwlock_init(&lock, NULL); /* its writer is a thread of the parent */
    generation++;
}

static void watch(void) {
    refused = pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

int forks_watch(void) {
    pthread_once(&once, watch);
    if (refused != 0) PyErr_NoMemory();
    return refused != 0 ? -1 : 0;
}

void forks_hold_off(void) {
    pthread_rwlock_rdlock(&lock);
}

void forks_let_go(void) {
    pthread_rwlock_unlock(&lock);
}

unsigned forks_generation(void) {
    return generation;
}

#endif
