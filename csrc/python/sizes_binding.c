/* Which sizes of a heap serve a trace: arrays in, runs of sizes out, the search itself without the
 * GIL. */
#include "extension.h"

#include "best_fit.h"
#include "sbrk_sizes.h"
#include "side_by_side.h"

/* What runs between two looks at signals and at progress(): some milliseconds. */
#define EVENTS_AT_ONCE 100000

/* The events: those of a replay, or of heap_2's search, which are linked already. */
struct events {
    Py_buffer op, slot, size; /* or which event's block ends, and what is wanted */
    Py_buffer *views[3];
    int taken;
    Py_ssize_t slots;
};

/* Of so many items; -1: of any number. */
static bool take_array(struct events *events, Py_buffer *view, PyObject *object, const char *name,
                       Py_ssize_t item, Py_ssize_t count) {
    if (core_get_plain_buffer(object, view, PyBUF_C_CONTIGUOUS, name) != 0) return false;
    events->views[events->taken++] = view;
    if (view->itemsize == item && (count < 0 || view->len / item == count) &&
        (uintptr_t)view->buf % (uintptr_t)item == 0)
        return true;
    PyErr_Format(PyExc_ValueError, "%s must be an aligned array of %zd items of %zd bytes", name,
                 count < 0 ? view->len / item : count, item);
    return false;
}

static bool take_events(struct events *events, PyObject *const *arrays, Py_ssize_t slots) {
    events->taken = 0;
    events->slots = slots;
    if (slots < 0) {
        PyErr_SetString(PyExc_ValueError, "slots must not be negative");
        return false;
    }
    return take_array(events, &events->op, arrays[0], "op", 1, -1) &&
           take_array(events, &events->slot, arrays[1], "slot", 4, events->op.len) &&
           take_array(events, &events->size, arrays[2], "size", 8, events->op.len);
}

static void release_events(struct events *events) {
    while (events->taken > 0)
        PyBuffer_Release(events->views[--events->taken]);
}

static bool check_range(unsigned long long first, unsigned long long last) {
    if (first <= last && last < 1ULL << 63) return true;
    PyErr_Format(PyExc_ValueError, "sizes are from %llu to %llu", first, last);
    return false;
}

/* With the GIL: a signal, or what progress() raises, ends the search. */
static bool say(PyObject *progress, uint64_t done) {
    if (PyErr_CheckSignals() != 0) return false;
    if (progress == Py_None) return true;
    PyObject *answer = PyObject_CallFunction(progress, "K", (unsigned long long)done);
    Py_XDECREF(answer);
    return answer != NULL;
}

/* [(first size, last size, event that fails or -1)] */
static PyObject *list_of(const struct rh_runs *runs) {
    PyObject *list = PyList_New((Py_ssize_t)runs->count);
    for (size_t i = 0; list != NULL && i < runs->count; i++) {
        const struct rh_run *found = &runs->run[i];
        PyObject *run = Py_BuildValue("(KKL)", (unsigned long long)found->first,
                                      (unsigned long long)found->last, (long long)found->failed);
        if (run == NULL || PyList_SetItem(list, (Py_ssize_t)i, run) != 0) Py_CLEAR(list);
    }
    return list;
}

/* Runs to the end, or None once it has taken more than `most` events. */
static PyObject *run_best_fit(struct rh_best_fit *search, unsigned long long most,
                              PyObject *progress) {
    enum rh_best_fit_result result = RH_BEST_FIT_MORE;
    while (result == RH_BEST_FIT_MORE) {
        const uint64_t left = most - search->done;
        if (left == 0) Py_RETURN_NONE;
        Py_BEGIN_ALLOW_THREADS;
        result = rh_best_fit_run(search, left < EVENTS_AT_ONCE ? left : EVENTS_AT_ONCE);
        Py_END_ALLOW_THREADS;
        if (!say(progress, search->done)) return NULL;
    }
    return result == RH_BEST_FIT_DONE ? list_of(&search->runs) : PyErr_NoMemory();
}

static PyObject *run_beside(struct rh_beside *search, PyObject *progress) {
    enum rh_best_fit_result result = RH_BEST_FIT_MORE;
    while (result == RH_BEST_FIT_MORE) {
        Py_BEGIN_ALLOW_THREADS;
        result = rh_beside_run(search, EVENTS_AT_ONCE / 8);
        Py_END_ALLOW_THREADS;
        if (!say(progress, search->event)) return NULL;
    }
    return result == RH_BEST_FIT_DONE ? list_of(&search->runs) : PyErr_NoMemory();
}

/* Why a search did not begin. */
static PyObject *raise_not_begun(enum rh_best_fit_result result) {
    if (result != RH_BEST_FIT_NO_EVENT) return PyErr_NoMemory();
    PyErr_SetString(PyExc_ValueError,
                    "ended has an entry that is no earlier event whose block has not ended");
    return NULL;
}

static bool take_wanted(struct events *events, PyObject *wanted, PyObject *ended) {
    return take_array(events, &events->size, wanted, "wanted", 8, -1) &&
           take_array(events, &events->slot, ended, "ended", 4, events->size.len / 8);
}

PyObject *core_best_fit_sizes(PyObject *module, PyObject *args) {
    PyObject *wanted, *ended, *progress, *result = NULL;
    unsigned long long split_above, first, last, only, most;
    struct events events = {.taken = 0};
    int ends_alone;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOKKKKpKO:best_fit_sizes", &wanted, &ended, &split_above, &first,
                          &last, &only, &ends_alone, &most, &progress) ||
        !check_range(first, last))
        return NULL;
    if (take_wanted(&events, wanted, ended)) {
        struct rh_best_fit search;
        const enum rh_best_fit_result begun =
            rh_best_fit_begin(&search, events.size.buf, events.slot.buf,
                              (size_t)(events.size.len / 8), split_above, first, last);
        search.only = only;
        search.ends_alone = ends_alone != 0;
        result = begun == RH_BEST_FIT_MORE ? run_best_fit(&search, most, progress)
                                           : raise_not_begun(begun);
        rh_best_fit_end(&search);
    }
    release_events(&events);
    return result;
}

PyObject *core_best_fit_sizes_beside(PyObject *module, PyObject *args) {
    PyObject *wanted, *ended, *progress, *result = NULL;
    unsigned long long split_above, first, last;
    struct events events = {.taken = 0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OOKKKO:best_fit_sizes_beside", &wanted, &ended, &split_above,
                          &first, &last, &progress) ||
        !check_range(first, last))
        return NULL;
    if (take_wanted(&events, wanted, ended)) {
        struct rh_beside search;
        const enum rh_best_fit_result begun =
            rh_beside_begin(&search, events.size.buf, events.slot.buf,
                            (size_t)(events.size.len / 8), split_above, first, last);
        result = begun == RH_BEST_FIT_MORE ? run_beside(&search, progress) : raise_not_begun(begun);
        rh_beside_end(&search);
    }
    release_events(&events);
    return result;
}

static PyObject *run_sbrk(struct heap *heap, struct rh_sbrk_sizes *search, PyObject *progress) {
    enum rh_sbrk_result result = RH_SBRK_MORE;
    while (result == RH_SBRK_MORE) {
        enum rh_replay_result broken;
        Py_BEGIN_ALLOW_THREADS;
        result = rh_sbrk_run(search, EVENTS_AT_ONCE, &broken);
        Py_END_ALLOW_THREADS;
        if (result == RH_SBRK_BROKEN && broken == RH_REPLAY_CORRUPT)
            return heap_raise_last_fault(heap, (int64_t)search->replay->done);
        if (result == RH_SBRK_BROKEN)
            return PyErr_Format(PyExc_ValueError, "event %zu is none", search->replay->done);
        if (!say(progress, search->done)) return NULL;
    }
    return result == RH_SBRK_DONE ? list_of(&search->runs) : PyErr_NoMemory();
}

/* The heap is new, or is set up again: in an arena in which no sbrk of the search is refused. */
static PyObject *search_sbrk(struct heap *heap, const struct events *events, uint64_t first,
                             uint64_t last, PyObject *progress) {
    const struct arena *arena = heap_arena(heap, 0);
    const size_t slots = (size_t)events->slots;
    struct rh_replay replay = {.ops = heap->ops,
                               .state = heap->state,
                               .op = events->op.buf,
                               .slot = events->slot.buf,
                               .size = events->size.buf,
                               .events = (size_t)events->op.len,
                               .slots = PyMem_Calloc(slots + 1, sizeof *replay.slots),
                               .slot_count = slots,
                               .stop_at_failure = true};
    if (replay.slots == NULL) return PyErr_NoMemory();
    PyObject *result = NULL;
    const uint64_t size = (uint64_t)arena->buffer.len;
    struct rh_sbrk_sizes search = {
        .replay = &replay,
        .memory = {{heap->state, heap->ops->state_bytes(1)},
                   {arena->buffer.buf, (size_t)size},
                   {NULL, heap->ops->shadow_bytes(size, heap->alignment)},
                   {replay.slots, slots * sizeof *replay.slots}}};
    if (last > size) {
        PyErr_Format(PyExc_ValueError, "sizes are up to %llu, the heap's %llu",
                     (unsigned long long)last, (unsigned long long)size);
    } else if (heap_set_up(heap, false) == 0) {
        search.memory[2].at = heap->shadow; /* a new one */
        rh_replay_begin(&replay);
        rh_sbrk_begin(&search, first, last);
        heap->busy = true;
        result = run_sbrk(heap, &search, progress);
        heap->busy = false;
        rh_sbrk_end(&search);
        if (heap_set_up(heap, false) != 0) Py_CLEAR(result);
    }
    PyMem_Free(replay.slots);
    return result;
}

PyObject *core_sbrk_sizes(PyObject *module, PyObject *args) {
    const struct core_state *core = PyModule_GetState(module);
    PyObject *arrays[3], *progress, *object, *result = NULL;
    Py_ssize_t slots;
    unsigned long long first, last;
    struct events events;
    if (!PyArg_ParseTuple(args, "O!OOOnKKO:sbrk_sizes", core->heap_types[2], &object, &arrays[0],
                          &arrays[1], &arrays[2], &slots, &first, &last, &progress) ||
        !check_range(first, last))
        return NULL;
    struct heap *heap = (struct heap *)object;
    if (take_events(&events, arrays, slots) && heap_ready_arena(heap, "sbrk_sizes"))
        result = search_sbrk(heap, &events, first, last, progress);
    release_events(&events);
    return result;
}
