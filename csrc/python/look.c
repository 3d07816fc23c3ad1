/* What a heap is like: statistics, blocks, regions. */
#include "extension.h"

PyObject *heap_stats(PyObject *self, PyObject *const *args, Py_ssize_t given) {
    struct heap *heap = (struct heap *)self;
    struct rh_stats64 stats;
    const int anyway = given > 0 ? PyObject_IsTrue(args[0]) : 0;
    if (anyway < 0 || !heap_ready_arena(heap, "stats()")) return NULL;
    enum rh_status status = heap->ops->stats(heap->state, &stats);
    if (status == RH_CORRUPT) return heap_raise_last_fault(heap, -1);
    if (status == RH_ASSERTION && !anyway) {
        PyErr_Format(heap->core->heap_error,
                     "stats(): no block is free, and vPortGetHeapStats then follows a null link "
                     "(%s)",
                     rh_kernels[heap->kernel].name);
        return NULL;
    }
    PyObject *tuple = PyTuple_New(7);
    for (Py_ssize_t i = 0; tuple != NULL && i < 7; i++) {
        PyObject *value = PyLong_FromUnsignedLongLong(stats.values[i]);
        if (value == NULL || PyTuple_SetItem(tuple, i, value) != 0) Py_CLEAR(tuple);
    }
    return tuple;
}

/* Raises if a header is not the heap's. */
static bool all_intact(struct heap *heap) {
    if (heap->ops->check(heap->state) == RH_OK) return true;
    heap_raise_last_fault(heap, -1);
    return false;
}

/* The list of what a walk has collected: (address, size, allocated), or (address, size). */
static PyObject *list_of(struct collected *collected, bool with_state) {
    const size_t count = collected->count / 3;
    PyObject *list = collected->failed ? PyErr_NoMemory() : PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        const uint64_t *block = &collected->values[3 * i];
        const unsigned long long address = block[0], size = block[1];
        PyObject *item =
            with_state ? Py_BuildValue("(KKO)", address, size, block[2] != 0 ? Py_True : Py_False)
                       : Py_BuildValue("(KK)", address, size);
        if (item == NULL || PyList_SetItem(list, (Py_ssize_t)i, item) != 0) Py_CLEAR(list);
    }
    collect_drop(collected);
    return list;
}

PyObject *heap_blocks(PyObject *self, PyObject *const *args, Py_ssize_t given) {
    struct heap *heap = (struct heap *)self;
    struct collected blocks = {0};
    const int trust = given > 0 ? PyObject_IsTrue(args[0]) : 0;
    if (trust < 0 || !heap_ready_arena(heap, "blocks()") || (!trust && !all_intact(heap)))
        return NULL;
    heap->ops->walk(heap->state, collect_block, &blocks); /* by the shadow: it cannot fail */
    return list_of(&blocks, true);
}

PyObject *heap_free_blocks(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct heap *heap = (struct heap *)self;
    struct collected blocks = {0};
    if (!heap_ready_arena(heap, "free_blocks()")) return NULL;
    if (heap->ops->walk_free(heap->state, collect_block, &blocks) == RH_OK)
        return list_of(&blocks, false);
    collect_drop(&blocks);
    return heap_raise_last_fault(heap, -1);
}

PyObject *heap_check(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct heap *heap = (struct heap *)self;
    if (!heap_ready_arena(heap, "check()") || !all_intact(heap)) return NULL;
    Py_RETURN_NONE;
}

PyObject *heap_region_pairs(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct heap *heap = (struct heap *)self;
    if (!heap_has_arena(heap, "regions")) return NULL;
    const Py_ssize_t count = heap_arena_count(heap);
    PyObject *regions = PyTuple_New(count);
    for (Py_ssize_t i = 0; regions != NULL && i < count; i++) {
        struct arena *arena = heap_arena(heap, i);
        PyObject *pair = Py_BuildValue("(KO)", (unsigned long long)arena->address, arena->memory);
        if (pair == NULL || PyTuple_SetItem(regions, i, pair) != 0) Py_CLEAR(regions);
    }
    return regions;
}

PyObject *heap_region_views(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct heap *heap = (struct heap *)self;
    if (!heap_has_arena(heap, "regions")) return NULL;
    const Py_ssize_t count = heap_arena_count(heap);
    PyObject *views = PyTuple_New(count);
    for (Py_ssize_t i = 0; views != NULL && i < count; i++) {
        PyObject *view = PyMemoryView_FromObject((PyObject *)heap_arena(heap, i));
        if (view == NULL || PyTuple_SetItem(views, i, view) != 0) Py_CLEAR(views);
    }
    return views;
}
