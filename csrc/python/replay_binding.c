/* replay(): arrays in, columns out, the loop itself without the GIL. */
#include "extension.h"

#include "replay.h"

/* How many events run between two looks at signals and at progress(). */
#define EVENTS_AT_ONCE 4096

const char *const core_columns[9] = {
    "address", "block_size", "free_size", "largest_free_block", "free_block_count", "live_bytes",
    "nodes",   "failed",     "failure"};
static const Py_ssize_t column_bytes[9] = {8, 8, 8, 8, 4, 8, 4, 1, 1};

const char *const core_counts[12] = {
    "done",       "failures",         "zero_size",     "skipped", "ignored_frees", "live_bytes",
    "most_nodes", "most_nodes_event", "first_failure", "need",    "need_event",    "need_largest"};

/* All buffers that a call holds, to be released together. */
struct buffers {
    Py_buffer views[12];
    int count;
};

static void release(struct buffers *buffers) {
    while (buffers->count > 0)
        PyBuffer_Release(&buffers->views[--buffers->count]);
}

/* The memory of a C-contiguous array of `length` items of `item` bytes; NULL with an exception.
 * length < 0 takes any. */
static void *array(struct buffers *buffers, PyObject *object, const char *name, Py_ssize_t item,
                   Py_ssize_t length, bool writable) {
    Py_buffer *view = &buffers->views[buffers->count];
    if (PyObject_GetBuffer(object, view, PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0)) != 0)
        return NULL;
    buffers->count++;
    if (view->itemsize != item || (length >= 0 && view->len / item != length) ||
        (uintptr_t)view->buf % (uintptr_t)item != 0) {
        PyErr_Format(PyExc_ValueError, "%s must be an aligned array of %zd items of %zd bytes",
                     name, length < 0 ? view->len / item : length, item);
        return NULL;
    }
    return view->buf != NULL ? view->buf : (void *)view; /* an empty array is no NULL */
}

static void raise_replay(struct heap *heap, const struct rh_replay *replay,
                         enum rh_replay_result result) {
    if (result == RH_REPLAY_CORRUPT)
        heap_raise_last_fault(heap, (int64_t)replay->done);
    else
        PyErr_Format(PyExc_ValueError, "event %zu is none: operation %d, slot %d of %zu",
                     replay->done, (int)replay->op[replay->done], (int)replay->slot[replay->done],
                     replay->slot_count);
}

/* Runs to the end, with the GIL only where Python must be asked. */
static int run(struct heap *heap, struct rh_replay *replay, PyObject *progress) {
    int failed = 0;
    while (!failed && replay->done < replay->events &&
           !(replay->stop_at_failure && replay->failures != 0)) {
        enum rh_replay_result result;
        Py_BEGIN_ALLOW_THREADS;
        result = rh_replay_run(replay, replay->done + EVENTS_AT_ONCE);
        Py_END_ALLOW_THREADS;
        if (result != RH_REPLAY_OK) {
            raise_replay(heap, replay, result);
            failed = 1;
        } else if (PyErr_CheckSignals() != 0) {
            failed = 1;
        } else if (progress != Py_None) {
            PyObject *answer = PyObject_CallFunction(progress, "nn", (Py_ssize_t)replay->done,
                                                     (Py_ssize_t)replay->events);
            Py_XDECREF(answer);
            failed = answer == NULL;
        }
    }
    return failed ? -1 : 0;
}

static PyObject *counts_of(const struct rh_replay *r) {
    /* -1 stands for no event. */
    return Py_BuildValue("(KKKKKKKLLKLK)", (unsigned long long)r->done,
                         (unsigned long long)r->failures, (unsigned long long)r->zero_size,
                         (unsigned long long)r->skipped, (unsigned long long)r->ignored_frees,
                         (unsigned long long)r->live_bytes, (unsigned long long)r->most_nodes,
                         (long long)r->most_nodes_event, (long long)r->first_failure,
                         (unsigned long long)r->need.need, (long long)r->need.event,
                         (unsigned long long)r->need.largest);
}

static bool take_columns(struct buffers *buffers, PyObject *columns, Py_ssize_t events,
                         struct rh_columns *taken) {
    if (!PyTuple_Check(columns) || PyTuple_Size(columns) != 9) {
        PyErr_SetString(PyExc_TypeError, "columns must be a tuple of 9 arrays or None");
        return false;
    }
    void *memory[9] = {NULL};
    for (int i = 0; i < 9; i++) {
        PyObject *column = PyTuple_GetItem(columns, i);
        if (column == Py_None) continue;
        memory[i] = array(buffers, column, core_columns[i], column_bytes[i], events, true);
        if (memory[i] == NULL) return false;
    }
    struct rh_columns all = {memory[0], memory[1], memory[2], memory[3], memory[4],
                             memory[5], memory[6], memory[7], memory[8]};
    *taken = all;
    return true;
}

PyObject *core_replay(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    struct core_state *core = PyModule_GetState(module);
    if (count != 9 || !PyObject_TypeCheck(args[0], core->heap_type)) {
        PyErr_SetString(PyExc_TypeError, "replay(heap, op, slot, size, slots, columns, "
                                         "stop_at_failure, track_need, progress)");
        return NULL;
    }
    struct heap *heap = (struct heap *)args[0];
    if (!heap_ready_arena(heap, "replay")) return NULL;
    const Py_ssize_t slots = PyLong_AsSsize_t(args[4]);
    if (slots < 0) {
        if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "slots must not be negative");
        return NULL;
    }
    const int stop = PyObject_IsTrue(args[6]);
    const int track = stop < 0 ? -1 : PyObject_IsTrue(args[7]);
    if (track < 0) return NULL;

    struct buffers buffers = {.count = 0};
    struct rh_replay replay = {
        .ops = heap->ops, .state = heap->state, .stop_at_failure = stop != 0};
    replay.track_need = track != 0 && heap->ops->kind >= 4;
    PyObject *result = NULL;
    replay.op = array(&buffers, args[1], "op", 1, -1, false);
    if (replay.op == NULL) goto done;
    const Py_ssize_t events = buffers.views[0].len;
    replay.events = (size_t)events;
    replay.slot = array(&buffers, args[2], "slot", 4, events, false);
    if (replay.slot == NULL) goto done;
    replay.size = array(&buffers, args[3], "size", 8, events, false);
    if (replay.size == NULL || !take_columns(&buffers, args[5], events, &replay.columns)) goto done;
    replay.slot_count = (size_t)slots;
    replay.slots = PyMem_Calloc((size_t)slots + 1, sizeof *replay.slots);
    if (replay.slots == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    if (!heap_ready(heap)) goto done; /* taking the buffers may have run other threads */
    heap->busy = true;
    rh_replay_begin(&replay);
    if (run(heap, &replay, args[8]) == 0) result = counts_of(&replay);
    heap->busy = false;
done:
    PyMem_Free(replay.slots);
    release(&buffers);
    return result;
}
