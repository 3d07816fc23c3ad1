/* The memory of one region: pins the user's buffer and exports its bytes. */
#include "extension.h"

#include <string.h>

static void arena_dealloc(PyObject *self) {
    struct arena *arena = (struct arena *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (arena->buffer.obj != NULL) PyBuffer_Release(&arena->buffer);
    Py_CLEAR(arena->memory);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static int arena_traverse(PyObject *self, visitproc visit, void *arg) {
    struct arena *arena = (struct arena *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(arena->memory);
    Py_VISIT(arena->buffer.obj);
    return 0;
}

static int arena_getbuffer(PyObject *self, Py_buffer *view, int flags) {
    struct arena *arena = (struct arena *)self;
    return PyBuffer_FillInfo(view, self, arena->buffer.buf, arena->buffer.len, 0, flags);
}

static PyType_Slot arena_slots[] = {
    {Py_tp_dealloc, arena_dealloc},
    {Py_tp_traverse, arena_traverse},
    {Py_bf_getbuffer, arena_getbuffer},
    {Py_tp_doc, "The memory of one region."},
    {0, NULL},
};

PyType_Spec core_arena_spec = {
    .name = "rtosheap._core._Arena",
    .basicsize = sizeof(struct arena),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = arena_slots,
};

/* A bytearray of so many bytes. No size that the word cannot hold is asked of the memory. */
static PyObject *make_memory(PyObject *size, const char *name, uint64_t limit) {
    const uint64_t bytes = PyLong_AsUnsignedLongLong(size);
    const bool is_word = bytes != (uint64_t)-1 || !PyErr_Occurred();
    PyErr_Clear();
    if (is_word && bytes < limit && bytes <= PY_SSIZE_T_MAX) {
        PyObject *made = PyObject_CallFunctionObjArgs((PyObject *)&PyByteArray_Type, size, NULL);
        if (made == NULL && PyErr_ExceptionMatches(PyExc_MemoryError))
            PyErr_Format(PyExc_MemoryError, "%s of %llu bytes does not fit this machine's memory",
                         name, (unsigned long long)bytes);
        return made;
    }
    PyObject *text = is_word ? PyObject_Str(size) : PyUnicode_FromString("another int");
    if (text != NULL)
        PyErr_Format(PyExc_ValueError,
                     "%s must be a size from 0 up to %llu bytes for this word_size, got %U", name,
                     (unsigned long long)(limit - 1), text);
    Py_XDECREF(text);
    return NULL;
}

/* An int becomes a bytearray of that size, anything else is what it is. A numpy array has
 * __index__ too, and only refuses when it is called. */
static PyObject *memory_of(PyObject *memory, const char *name, uint64_t limit) {
    if (!PyIndex_Check(memory)) return Py_NewRef(memory);
    PyObject *size = PyNumber_Index(memory);
    if (size == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError) || !PyObject_CheckBuffer(memory)) return NULL;
        PyErr_Clear();
        return Py_NewRef(memory);
    }
    PyObject *made = make_memory(size, name, limit);
    Py_DECREF(size);
    return made;
}

/* The buffer's own error, with the argument's name before it. */
static void name_buffer_error(const char *name) {
    PyObject *base = PyErr_ExceptionMatches(PyExc_BufferError)  ? PyExc_BufferError
                     : PyErr_ExceptionMatches(PyExc_ValueError) ? PyExc_ValueError
                                                                : NULL;
    if (base == NULL) return;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_Format(base, "%s must be a writable contiguous buffer: %S", name,
                 value == NULL ? Py_None : value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

/* Is an item of this format (that of Python's struct module, as buffers have it) a byte or a
 * number? Not an object's address, nor a structure, which may hold one. */
static bool is_plain(const char *format) {
    return format == NULL ||
           format[strspn(format, "@=<>!^ 0123456789xcbB?hHiIlLqQnNefdgFDGZs")] == 0;
}

int core_get_plain_buffer(PyObject *object, Py_buffer *view, int flags, const char *name) {
    if (PyObject_GetBuffer(object, view, flags | PyBUF_FORMAT) != 0) return -1;
    if (is_plain(view->format)) return 0;
    PyErr_Format(PyExc_TypeError,
                 "%s must be memory of plain bytes or numbers, not of items of the format '%s'",
                 name, view->format);
    PyBuffer_Release(view);
    return -1;
}

struct arena *core_arena_new(struct core_state *core, PyObject *memory, const char *name,
                             uint64_t limit) {
    allocfunc allocate = (allocfunc)PyType_GetSlot(core->arena_type, Py_tp_alloc);
    struct arena *arena = (struct arena *)allocate(core->arena_type, 0);
    if (arena == NULL) return NULL;
    arena->memory = memory_of(memory, name, limit);
    if (arena->memory == NULL) goto error;
    if (!PyObject_CheckBuffer(arena->memory)) {
        PyErr_Format(PyExc_TypeError,
                     "%s must be a number of bytes or a writable contiguous buffer, not %R", name,
                     memory);
        goto error;
    }
    if (core_get_plain_buffer(arena->memory, &arena->buffer, PyBUF_WRITABLE | PyBUF_ANY_CONTIGUOUS,
                              name) != 0) {
        arena->buffer.obj = NULL;
        name_buffer_error(name);
        goto error;
    }
    return arena;
error:
    Py_DECREF(arena);
    return NULL;
}
