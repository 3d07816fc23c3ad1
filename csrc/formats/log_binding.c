/* rtosheap._formats.Log: the events of a log that names blocks by their addresses. */
#include "extension.h"

#include <stdlib.h>

#include <structmember.h>

#include "rh_logs.h"
#include "rh_records.h"

struct log_object {
    PyObject_HEAD struct rh_log log;
};

static struct rh_log *log_of(PyObject *self) {
    return &((struct log_object *)self)->log;
}

static PyObject *log_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"seed", "timed", "tasked", NULL};
    unsigned long long seed;
    int timed = 0, tasked = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "K|$pp", names, &seed, &timed, &tasked))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *self = allocate(type, 0);
    if (self != NULL)
        *log_of(self) = (struct rh_log){.live = {.seed = seed},
                                        .tasks = {.seed = seed},
                                        .timed = timed != 0,
                                        .tasked = tasked != 0,
                                        .who = -1};
    return self;
}

static void log_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    rh_log_drop(log_of(self));
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* Takes as many numbers of 64 bits as there are names; false with an exception. */
static bool take_numbers(PyObject *const *args, Py_ssize_t count, Py_ssize_t wanted,
                         const char *call, uint64_t *numbers) {
    if (count != wanted) {
        PyErr_SetString(PyExc_TypeError, call);
        return false;
    }
    for (Py_ssize_t i = 0; i < wanted; i++) {
        numbers[i] = PyLong_AsUnsignedLongLong(args[i]);
        if (PyErr_Occurred()) return false;
    }
    return true;
}

static PyObject *done(bool enough) {
    return enough ? Py_NewRef(Py_None) : PyErr_NoMemory();
}

static PyObject *log_malloc(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t n[3];
    if (!take_numbers(args, count, 3, "malloc(address, size, line)", n)) return NULL;
    return done(rh_log_malloc(log_of(self), n[0], n[1], (int64_t)n[2]));
}

static PyObject *log_free(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t n[2];
    if (!take_numbers(args, count, 2, "free(address, line)", n)) return NULL;
    return done(rh_log_free(log_of(self), n[0], (int64_t)n[1]));
}

static PyObject *log_realloc(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t n[4];
    if (!take_numbers(args, count, 4, "realloc(old, new, size, line)", n)) return NULL;
    return done(rh_log_realloc(log_of(self), n[0], n[1], n[2], (int64_t)n[3]));
}

static PyObject *log_fail(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t n[1];
    if (!take_numbers(args, count, 1, "fail(size)", n)) return NULL;
    rh_log_fail(log_of(self), n[0]);
    return Py_NewRef(Py_None);
}

static PyObject *log_add_kind(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t n[1];
    if (!take_numbers(args, count, 1, "add_kind(size)", n)) return NULL;
    return done(rh_alike_add(&log_of(self)->alike, n[0]));
}

/* Takes a kind and a line; false with an exception. */
static bool take_kind(PyObject *self, PyObject *const *args, Py_ssize_t count, const char *call,
                      uint64_t *n) {
    if (!take_numbers(args, count, 2, call, n)) return false;
    if (n[0] < log_of(self)->alike.count) return true;
    PyErr_SetString(PyExc_ValueError, "kind must be below kinds");
    return false;
}

static PyObject *log_malloc_of(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t n[2];
    if (!take_kind(self, args, count, "malloc_of(kind, line)", n)) return NULL;
    return done(rh_log_malloc_of(log_of(self), (size_t)n[0], (int64_t)n[1]));
}

static PyObject *log_free_of(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t n[2];
    if (!take_kind(self, args, count, "free_of(kind, line)", n)) return NULL;
    return done(rh_log_free_of(log_of(self), (size_t)n[0], (int64_t)n[1]));
}

static PyObject *log_name_task(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t n[2];
    if (!take_numbers(args, count, 2, "name_task(number, code)", n)) return NULL;
    if (n[0] == UINT64_MAX || n[1] > INT32_MAX) return Py_NewRef(Py_None); /* of no usual line */
    const int64_t before = rh_live_put(&log_of(self)->tasks, n[0] + 1, (int64_t)n[1]);
    return done(before != RH_LIVE_FAILED);
}

static PyObject *log_counts(PyObject *self, PyObject *unused) {
    (void)unused;
    static const char *const names[RH_LOSS_KINDS] = {
#define NAME(name) #name,
        RH_LOSSES(NAME)
#undef NAME
    };
    PyObject *counts = PyDict_New();
    for (int i = 0; counts != NULL && i < RH_LOSS_KINDS; i++) {
        PyObject *number = PyLong_FromUnsignedLongLong(log_of(self)->losses[i]);
        if (number == NULL || PyDict_SetItemString(counts, names[i], number) != 0) Py_CLEAR(counts);
        Py_XDECREF(number);
    }
    return counts;
}

static PyObject *log_columns(PyObject *self, PyObject *unused) {
    (void)unused;
    static const char *const names[RH_COLUMN_KINDS] = {
#define NAME(name, type) #name,
        RH_COLUMNS(NAME)
#undef NAME
    };
    struct rh_log *log = log_of(self);
    PyObject *columns = PyDict_New();
    for (int i = 0; columns != NULL && i < RH_COLUMN_KINDS; i++) {
        if (log->column[i] == NULL && log->count != 0) continue;
        const size_t length = log->count * rh_column_item[i];
        PyObject *bytes = PyBytes_FromStringAndSize(log->column[i], (Py_ssize_t)length);
        free(log->column[i]); /* a large log is in memory only once */
        log->column[i] = NULL;
        if (bytes == NULL || PyDict_SetItemString(columns, names[i], bytes) != 0) Py_CLEAR(columns);
        Py_XDECREF(bytes);
    }
    log->count = log->room = 0;
    return columns;
}

/* Takes data, at, end, line of as many arguments as there must be; false with an exception. */
static bool take_lines(struct buffers *buffers, PyObject *const *args, Py_ssize_t count,
                       Py_ssize_t wanted, const char *call, struct rh_lines *lines) {
    if (count != wanted) {
        PyErr_SetString(PyExc_TypeError, call);
        return false;
    }
    lines->at = PyLong_AsSize_t(args[1]);
    lines->length = PyErr_Occurred() ? 0 : PyLong_AsSize_t(args[2]);
    lines->line = PyErr_Occurred() ? 0 : PyLong_AsLongLong(args[3]);
    if (PyErr_Occurred()) return false;
    lines->data = formats_array(buffers, args[0], "data", 1, -1, false);
    if (lines->data == NULL) return false;
    if (lines->length <= (size_t)buffers->views[0].len && lines->at <= lines->length) return true;
    PyErr_SetString(PyExc_ValueError, "at and end must lie within data");
    return false;
}

static PyObject *scanned(enum rh_scan result, const struct rh_lines *lines) {
    if (result == RH_SCAN_FAILED) return PyErr_NoMemory();
    return Py_BuildValue("(nL)", (Py_ssize_t)lines->at, (long long)lines->line);
}

/* A format whose lines tell all. */
static PyObject *scan(PyObject *self, PyObject *const *args, Py_ssize_t count, const char *call,
                      enum rh_scan (*format)(struct rh_log *, struct rh_lines *)) {
    struct buffers buffers = {.count = 0};
    struct rh_lines lines = {0};
    PyObject *result = NULL;
    if (take_lines(&buffers, args, count, 4, call, &lines))
        result = scanned(format(log_of(self), &lines), &lines);
    formats_release(&buffers);
    return result;
}

static PyObject *scan_valgrind(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    struct buffers buffers = {.count = 0};
    struct rh_lines lines = {0};
    PyObject *result = NULL;
    if (take_lines(&buffers, args, count, 5, "scan_valgrind(data, at, end, line, process)",
                   &lines)) {
        const uint8_t *process = formats_array(&buffers, args[4], "process", 1, -1, false);
        if (process != NULL)
            result = scanned(
                rh_scan_valgrind(log_of(self), &lines, process, (size_t)buffers.views[1].len),
                &lines);
    }
    formats_release(&buffers);
    return result;
}

static PyObject *scan_freertos(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    struct buffers buffers = {.count = 0};
    struct rh_lines lines = {0};
    PyObject *result = NULL;
    if (take_lines(&buffers, args, count, 5, "scan_freertos(data, at, end, line, sized)", &lines)) {
        const int sized = PyObject_IsTrue(args[4]);
        if (sized >= 0)
            result = scanned(rh_scan_freertos(log_of(self), &lines, sized != 0), &lines);
    }
    formats_release(&buffers);
    return result;
}

static PyObject *scan_pigweed(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    return scan(self, args, count, "scan_pigweed(data, at, end, line)", rh_scan_pigweed);
}

static PyObject *scan_mtrace(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    return scan(self, args, count, "scan_mtrace(data, at, end, line)", rh_scan_mtrace);
}

static PyObject *scan_ltrace(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    return scan(self, args, count, "scan_ltrace(data, at, end, line)", rh_scan_ltrace);
}

static PyObject *scan_heaptrack(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    struct buffers buffers = {.count = 0};
    struct rh_lines lines = {0};
    PyObject *result = NULL;
    if (take_lines(&buffers, args, count, 5, "scan_heaptrack(data, at, end, line, interpreted)",
                   &lines)) {
        const int form = args[4] == Py_None ? -1 : PyObject_IsTrue(args[4]);
        if (!PyErr_Occurred())
            result = scanned(rh_scan_heaptrack(log_of(self), &lines, form), &lines);
    }
    formats_release(&buffers);
    return result;
}

/* A Python callable's key for a task and its name. */
static int64_t ask(void *callable, uint8_t task, const uint8_t *name, size_t length) {
    PyObject *answer =
        PyObject_CallFunction(callable, "By#", task, (const char *)name, (Py_ssize_t)length);
    const long long key = answer != NULL ? PyLong_AsLongLong(answer) : -1;
    Py_XDECREF(answer);
    if (key < 0 && !PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "a key is not below 0");
    return key;
}

static PyObject *read_records(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    struct rh_log *log = log_of(self);
    if (count != 2 || !log->timed || !log->tasked) {
        PyErr_SetString(PyExc_TypeError,
                        "read_records(data, key_of), of a log with times and tasks");
        return NULL;
    }
    struct buffers buffers = {.count = 0};
    struct rh_records records = {.log = log, .key_of = ask, .context = args[1]};
    records.data = formats_array(&buffers, args[0], "data", 1, -1, false);
    enum rh_scan result = RH_SCAN_FAILED;
    if (records.data != NULL) {
        records.length = (size_t)buffers.views[0].len;
        result = rh_records_read(&records);
    }
    formats_release(&buffers);
    if (result == RH_SCAN_FAILED) return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    return Py_BuildValue("(KIIN)", (unsigned long long)records.base, records.shift, records.meaning,
                         result == RH_SCAN_END ? Py_NewRef(Py_None)
                                               : PyLong_FromUnsignedLongLong(records.beyond));
}

PyObject *formats_find_sync(PyObject *module, PyObject *data) {
    (void)module;
    struct buffers buffers = {.count = 0};
    const uint8_t *bytes = formats_array(&buffers, data, "data", 1, -1, false);
    const size_t length = bytes != NULL ? (size_t)buffers.views[0].len : 0;
    const size_t at = bytes != NULL ? rh_find_sync(bytes, length) : 0;
    formats_release(&buffers);
    if (bytes == NULL) return NULL;
    return at == length ? Py_NewRef(Py_None) : PyLong_FromSize_t(at);
}

#define METHOD(name, function)                                                                     \
    { name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL, NULL }

static PyMethodDef log_methods[] = {
    METHOD("malloc", log_malloc),
    METHOD("free", log_free),
    METHOD("realloc", log_realloc),
    METHOD("fail", log_fail),
    METHOD("add_kind", log_add_kind),
    METHOD("malloc_of", log_malloc_of),
    METHOD("free_of", log_free_of),
    METHOD("name_task", log_name_task),
    METHOD("scan_valgrind", scan_valgrind),
    METHOD("scan_freertos", scan_freertos),
    METHOD("scan_pigweed", scan_pigweed),
    METHOD("scan_mtrace", scan_mtrace),
    METHOD("scan_ltrace", scan_ltrace),
    METHOD("scan_heaptrack", scan_heaptrack),
    METHOD("read_records", read_records),
    {"counts", log_counts, METH_NOARGS, NULL},
    {"take_columns", log_columns, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef log_members[] = {
    {"kinds", T_PYSSIZET, offsetof(struct log_object, log.alike.count), READONLY, NULL},
    {"highest", T_ULONGLONG, offsetof(struct log_object, log.highest), 0, NULL},
    {"freed", T_BOOL, offsetof(struct log_object, log.freed), 0, NULL},
    {"largest_failed", T_ULONGLONG, offsetof(struct log_object, log.largest_failed), READONLY,
     NULL},
    {"now", T_LONGLONG, offsetof(struct log_object, log.now), 0, NULL},
    {"who", T_INT, offsetof(struct log_object, log.who), 0, NULL},
    {"digits", T_INT, offsetof(struct log_object, log.digits), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot log_slots[] = {
    {Py_tp_new, log_new},
    {Py_tp_dealloc, log_dealloc},
    {Py_tp_methods, log_methods},
    {Py_tp_members, log_members},
    {Py_tp_doc, "The events of a log that names blocks by their addresses."},
    {0, NULL},
};

static PyType_Spec log_spec = {
    .name = "rtosheap._formats.Log",
    .basicsize = sizeof(struct log_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = log_slots,
};

int formats_add_log(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &log_spec, NULL);
    const int result = type != NULL ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
    Py_XDECREF(type);
    return result;
}
