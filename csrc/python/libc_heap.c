/*
 * Heap3.host(): the C library of this process, with a table of the blocks it has handed out, so
 * that a wrong free raises. A view lends a block out; until it is gone the block cannot be freed.
 */
#include "extension.h"

#include <stdlib.h>

#if defined(__APPLE__)
#include <malloc/malloc.h>
#elif defined(__linux__) || defined(_WIN32)
#include <malloc.h>
#endif

struct loan {
    PyObject_HEAD struct heap *heap;
    PyObject *address;
    void *memory;
    Py_ssize_t size;
};

static size_t usable_bytes(void *memory, size_t size) {
#if defined(__APPLE__)
    (void)size;
    return malloc_size(memory);
#elif defined(__linux__)
    (void)size;
    return malloc_usable_size(memory);
#elif defined(_WIN32)
    (void)size;
    return _msize(memory);
#else
    (void)memory;
    return size;
#endif
}

PyObject *heap3_host(PyObject *type, PyObject *Py_UNUSED(unused)) {
    struct heap *heap = heap_allocate((PyTypeObject *)type);
    if (heap == NULL) return NULL;
    heap->host_blocks = PyDict_New();
    heap->host_loans = PyDict_New();
    if (heap->host_blocks == NULL || heap->host_loans == NULL)
        Py_CLEAR(heap);
    else
        heap->busy = false;
    return (PyObject *)heap;
}

void host_release_all(struct heap *heap) {
    PyObject *address, *size;
    Py_ssize_t place = 0;
    if (heap->host_blocks == NULL) return;
    while (PyDict_Next(heap->host_blocks, &place, &address, &size))
        if (size != Py_None) free((void *)(uintptr_t)PyLong_AsUnsignedLongLong(address));
}

PyObject *host_malloc(struct heap *heap, uint64_t size, bool zeroed) {
    void *memory = zeroed ? calloc(1, (size_t)size) : malloc((size_t)size);
    if (memory == NULL) {
        heap->host_failed++;
        Py_RETURN_NONE;
    }
    PyObject *address = PyLong_FromUnsignedLongLong((uint64_t)(uintptr_t)memory);
    PyObject *bytes = PyLong_FromUnsignedLongLong(size);
    if (address == NULL || bytes == NULL ||
        PyDict_SetItem(heap->host_blocks, address, bytes) != 0) {
        free(memory);
        Py_CLEAR(address);
    } else {
        heap->host_allocations++;
    }
    Py_XDECREF(bytes);
    return address;
}

/* The size of a live block (borrowed), or NULL with *status and no exception, or with one. */
static PyObject *find_size(struct heap *heap, struct given_address address, PyObject **key,
                           enum rh_status *status) {
    *key = NULL;
    *status = RH_INVALID_FREE;
    if (!address.is_word) return NULL;
    *key = PyLong_FromUnsignedLongLong(address.value);
    if (*key == NULL) return NULL;
    PyObject *size = PyDict_GetItemWithError(heap->host_blocks, *key);
    if (size == Py_None) *status = RH_DOUBLE_FREE;
    return size == Py_None ? NULL : size;
}

/* As find_size(), with an exception whenever there is no live block. */
static PyObject *live_size(struct heap *heap, const char *method, struct given_address address,
                           PyObject **key) {
    enum rh_status status;
    PyObject *size = find_size(heap, address, key, &status);
    if (size == NULL && !PyErr_Occurred()) heap_raise_not_live(heap, method, address, status);
    return size;
}

PyObject *host_free(struct heap *heap, struct given_address address) {
    PyObject *key, *result = NULL;
    enum rh_status status;
    PyObject *size = find_size(heap, address, &key, &status);
    if (size != NULL) {
        PyObject *loans = PyDict_GetItemWithError(heap->host_loans, key);
        if (loans != NULL) {
            PyErr_Format(PyExc_BufferError, "free(%R): a view of the block is still in use", key);
        } else if (!PyErr_Occurred() && PyDict_SetItem(heap->host_blocks, key, Py_None) == 0) {
            free((void *)(uintptr_t)address.value);
            heap->host_frees++;
            result = Py_NewRef(Py_None);
        }
    } else if (!PyErr_Occurred()) {
        heap_raise_free(heap, address, status);
    }
    Py_XDECREF(key);
    return result;
}

PyObject *host_usable_size(struct heap *heap, struct given_address address) {
    PyObject *key, *result = NULL;
    PyObject *size = live_size(heap, "usable_size", address, &key);
    if (size != NULL)
        result = PyLong_FromSize_t(
            usable_bytes((void *)(uintptr_t)address.value, PyLong_AsSize_t(size)));
    Py_XDECREF(key);
    return result;
}

PyObject *host_is_live(struct heap *heap, struct given_address address) {
    PyObject *key;
    enum rh_status status;
    PyObject *size = find_size(heap, address, &key, &status);
    Py_XDECREF(key);
    return size == NULL && PyErr_Occurred() ? NULL : PyBool_FromLong(size != NULL);
}

/* Adds to the number of views of a block. */
static int count_loan(struct heap *heap, PyObject *key, long change) {
    PyObject *loans = PyDict_GetItemWithError(heap->host_loans, key);
    if (loans == NULL && PyErr_Occurred()) return -1;
    const long count = (loans == NULL ? 0 : PyLong_AsLong(loans)) + change;
    if (count == 0) return PyDict_DelItem(heap->host_loans, key);
    PyObject *value = PyLong_FromLong(count);
    if (value == NULL) return -1;
    int result = PyDict_SetItem(heap->host_loans, key, value);
    Py_DECREF(value);
    return result;
}

PyObject *host_view(struct heap *heap, struct given_address address) {
    PyTypeObject *type = heap->core->loan_type;
    /* First: making an object may run a finaliser, which may free the block. From its look-up to
     * the count of its views no object is made that could be. */
    struct loan *loan = (struct loan *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (loan == NULL) return NULL;
    PyObject *key, *view = NULL;
    PyObject *size = live_size(heap, "view", address, &key);
    if (size != NULL && count_loan(heap, key, 1) == 0) {
        loan->heap = (struct heap *)Py_NewRef((PyObject *)heap);
        loan->address = Py_NewRef(key);
        loan->memory = (void *)(uintptr_t)address.value;
        loan->size = PyLong_AsSsize_t(size);
        view = PyMemoryView_FromObject((PyObject *)loan);
    }
    Py_XDECREF(key);
    Py_DECREF((PyObject *)loan);
    return view;
}

static void loan_dealloc(PyObject *self) {
    struct loan *loan = (struct loan *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (loan->heap != NULL) {
        PyObject *type_, *value, *traceback;
        PyErr_Fetch(&type_, &value, &traceback);
        if (count_loan(loan->heap, loan->address, -1) != 0) PyErr_Clear();
        PyErr_Restore(type_, value, traceback);
    }
    Py_XDECREF((PyObject *)loan->heap);
    Py_XDECREF(loan->address);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static int loan_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((struct loan *)self)->heap);
    return 0;
}

static int loan_getbuffer(PyObject *self, Py_buffer *view, int flags) {
    struct loan *loan = (struct loan *)self;
    return PyBuffer_FillInfo(view, self, loan->memory, loan->size, 0, flags);
}

static PyType_Slot loan_slots[] = {
    {Py_tp_dealloc, loan_dealloc},
    {Py_tp_traverse, loan_traverse},
    {Py_bf_getbuffer, loan_getbuffer},
    {Py_tp_doc, "A block of Heap3.host() that a view has borrowed."},
    {0, NULL},
};

PyType_Spec core_loan_spec = {
    .name = "rtosheap._core._Loan",
    .basicsize = sizeof(struct loan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = loan_slots,
};
