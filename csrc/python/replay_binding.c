/* replay(): arrays in, columns out, the loop itself without the GIL. */
#include "core.h"

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
    if (view->itemsize != item || (length >= 0 && view->len != length * item)) {
        PyErr_Format(PyExc_ValueError, "%s must be an array of %zd items of %zd bytes", name,
                     length, item);
        return NULL;
    }
    static char nothing;
    return view->buf != NULL ? view->buf : &nothing;
}

/* No slot may lie outside the table, and no operation be unknown. */
static bool test_events(const struct rh_replay *replay, Py_ssize_t slots) {
    for (size_t i = 0; i < replay->events; i++) {
        const uint8_t op = replay->op[i];
        if (replay->slot[i] < 0 || replay->slot[i] >= slots ||
            (op != RH_EVENT_MALLOC && op != RH_EVENT_REALLOC && op != RH_EVENT_FREE)) {
            PyErr_Format(PyExc_ValueError, "event %zu is none: operation %d, slot %d of %zd", i,
                         (int)op, (int)replay->slot[i], slots);
            return false;
        }
    }
    return true;
}

/* Runs to the end, with the GIL only where Python must be asked. */
static int run(struct heap *heap, struct rh_replay *replay, PyObject *progress) {
    int result = 0;
    heap->busy = true;
    while (result == 0 && replay->done < replay->events &&
           !(replay->stop_at_failure && replay->failures != 0)) {
        enum rh_status status;
        Py_BEGIN_ALLOW_THREADS status = rh_replay_run(replay, replay->done + EVENTS_AT_ONCE);
        Py_END_ALLOW_THREADS if (status != RH_OK) {
            heap_raise_last_fault(heap, (int64_t)replay->done);
            result = -1;
        }
        else if (PyErr_CheckSignals() != 0) {
            result = -1;
        }
        else if (progress != Py_None) {
            PyObject *answer = PyObject_CallFunction(progress, "nn", (Py_ssize_t)replay->done,
                                                     (Py_ssize_t)replay->events);
            Py_XDECREF(answer);
            if (answer == NULL) result = -1;
        }
    }
    heap->busy = false;
    return result;
}

static PyObject *counts_of(const struct rh_replay *r) {
    const long long values[12] = {
        (long long)r->done,       (long long)r->failures,         (long long)r->zero_size,
        (long long)r->skipped,    (long long)r->ignored_frees,    (long long)r->live_bytes,
        (long long)r->most_nodes, (long long)r->most_nodes_event, (long long)r->first_failure,
        (long long)r->need.need,  (long long)r->need.event,       (long long)r->need.largest};
    PyObject *tuple = PyTuple_New(12);
    for (Py_ssize_t i = 0; tuple != NULL && i < 12; i++) {
        PyObject *value = PyLong_FromLongLong(values[i]);
        if (value == NULL || PyTuple_SetItem(tuple, i, value) != 0) Py_CLEAR(tuple);
    }
    return tuple;
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
    const int stop = PyObject_IsTrue(args[6]), track = PyObject_IsTrue(args[7]);
    if (PyErr_Occurred() || stop < 0 || track < 0) return NULL;

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
    if (replay.size == NULL || !take_columns(&buffers, args[5], events, &replay.columns) ||
        !test_events(&replay, slots))
        goto done;
    replay.slots = PyMem_Calloc((size_t)slots + 1, sizeof *replay.slots);
    if (replay.slots == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    rh_replay_begin(&replay);
    /* The heap must outlive the loop, whoever drops it meanwhile. */
    Py_INCREF(args[0]);
    if (run(heap, &replay, args[8]) == 0) result = counts_of(&replay);
    Py_DECREF(args[0]);
done:
    PyMem_Free(replay.slots);
    release(&buffers);
    return result;
}
