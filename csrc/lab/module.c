/* rtosheap._lab: the corruption laboratory's heaps, for rtosheap.corruption alone. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "lab.h"
#include "versions.h"

struct lab_object {
    PyObject_HEAD struct lab lab;
};

#define LAB(self) (&((struct lab_object *)(self))->lab)

static void lab_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    struct lab *lab = LAB(self);
    for (size_t i = 0; i < lab->setup.region_count; i++)
        PyMem_Free(lab->regions[i].shadow);
    PyMem_Free(lab->memory);
    PyMem_Free(lab->state);
    PyMem_Free(lab->slots);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* Takes [(address, size), ...] into the set-up. */
static bool take_regions(struct lab *lab, PyObject *regions) {
    const Py_ssize_t count = PyTuple_Size(regions);
    if (count < 1 || count > LAB_REGIONS) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "regions has %zd entries; it must have 1 to %d", count,
                         (int)LAB_REGIONS);
        return false;
    }
    uint64_t end = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        unsigned long long base, size;
        PyObject *pair = PyTuple_GetItem(regions, i);
        if (pair == NULL || !PyArg_ParseTuple(pair, "KK", &base, &size)) return false;
        if (base < end || size > (1u << 24) || (i > 0 && base - lab->regions[0].base > 1u << 24)) {
            PyErr_SetString(PyExc_ValueError,
                            "regions must ascend, and all lie within 16 MiB of the first");
            return false;
        }
        lab->regions[i].base = base;
        lab->regions[i].size = size;
        end = base + size;
    }
    lab->setup.region_count = (size_t)count;
    lab->setup.regions = lab->regions;
    /* All regions lie in one span: an address of any is right whichever region it is held to. */
    lab->memory = PyMem_Calloc(1, (size_t)(end - lab->regions[0].base) + 1);
    for (Py_ssize_t i = 0; lab->memory != NULL && i < count; i++) {
        struct rh_setup_region *region = &lab->regions[i];
        region->memory = lab->memory + (region->base - lab->regions[0].base);
        region->shadow =
            PyMem_Calloc(1, lab->ops->shadow_bytes(region->size, lab->setup.alignment) + 1);
        if (region->shadow == NULL) break;
    }
    if (lab->memory == NULL || lab->regions[count - 1].shadow == NULL) {
        PyErr_NoMemory();
        return false;
    }
    return true;
}

static bool set_up(struct lab *lab, PyObject *regions, int kind, int word, Py_ssize_t slots) {
    lab->ops = lab_ops(lab->checks, kind, word);
    if (lab->ops == NULL) {
        PyErr_Format(PyExc_ValueError, "no heap_%d of word %d at checks %d", kind, word,
                     lab->checks);
        return false;
    }
    if (!take_regions(lab, regions)) return false;
    lab->state = PyMem_Calloc(1, lab->ops->state_bytes(lab->setup.region_count));
    lab->slots = PyMem_Calloc((size_t)slots + 1, sizeof *lab->slots);
    lab->slot_count = (size_t)slots;
    if (lab->state == NULL || lab->slots == NULL) {
        PyErr_NoMemory();
        return false;
    }
    size_t wrong;
    const enum rh_status status = lab->ops->init(lab->state, &lab->setup, &wrong);
    if (status == RH_OK) return true;
    PyErr_Format(PyExc_ValueError, "heap_%d cannot be set up so (status %d, region %zd)", kind,
                 (int)status, (Py_ssize_t)wrong);
    return false;
}

static PyObject *lab_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"kind",       "checks", "regions", "word",   "alignment", "canary",
                            "end_marker", "budget", "slots",   "kernel", "newlib",    NULL};
    const char *kernel, *newlib;
    int kind, checks, word;
    unsigned long long alignment, canary, end_marker, budget;
    Py_ssize_t slots;
    PyObject *regions;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iiO!iKKKKnss", names, &kind, &checks,
                                     &PyTuple_Type, &regions, &word, &alignment, &canary,
                                     &end_marker, &budget, &slots, &kernel, &newlib))
        return NULL;
    if (slots < 0 || slots > 1 << 20 || alignment < 1 || alignment > 4096) {
        PyErr_SetString(PyExc_ValueError, "slots or alignment out of range");
        return NULL;
    }
    const size_t release = rh_find_kernel(kernel), nano = rh_find_newlib(newlib);
    if (kind < 1 || kind > 5 || release == rh_kernel_count || nano == RH_NANO_VERSIONS) {
        PyErr_Format(PyExc_ValueError, "no heap_%d of kernel %s and newlib %s", kind, kernel,
                     newlib);
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *self = allocate(type, 0);
    if (self == NULL) return NULL;
    struct lab *lab = LAB(self);
    lab->checks = checks;
    lab->budget = budget;
    lab->setup.alignment = alignment;
    lab->setup.old = rh_kernels[release].old[kind - 1];
    lab->setup.newlib = (enum rh_nano_version)nano;
    lab->setup.canary = canary;
    lab->setup.end_marker = end_marker;
    if (!set_up(lab, regions, kind, word, slots)) Py_CLEAR(self);
    return self;
}

/* (end, address): of the payload, of the access that ended the call, or 0. */
static PyObject *ended(enum lab_end end, uint64_t address) {
    return Py_BuildValue("(iK)", (int)end, (unsigned long long)address);
}

static PyObject *lab_py_malloc(PyObject *self, PyObject *argument) {
    uint64_t address;
    const unsigned long long size = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred()) return NULL;
    const enum lab_end end = lab_malloc(LAB(self), size, &address);
    return ended(end, end == LAB_DONE ? address : LAB(self)->address);
}

static PyObject *lab_py_free(PyObject *self, PyObject *argument) {
    const unsigned long long address = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred()) return NULL;
    const enum lab_end end = lab_free(LAB(self), address);
    return ended(end, LAB(self)->address);
}

static PyObject *lab_py_read(PyObject *self, PyObject *args) {
    unsigned long long address, bytes;
    if (!PyArg_ParseTuple(args, "KK", &address, &bytes)) return NULL;
    const unsigned char *at = lab_bytes(LAB(self), address, bytes);
    if (at == NULL) Py_RETURN_NONE;
    return PyBytes_FromStringAndSize((const char *)at, (Py_ssize_t)bytes);
}

static PyObject *lab_py_write(PyObject *self, PyObject *args) {
    unsigned long long address;
    const char *bytes;
    Py_ssize_t count;
    if (!PyArg_ParseTuple(args, "Ky#", &address, &bytes, &count)) return NULL;
    unsigned char *at = lab_bytes(LAB(self), address, (uint64_t)count);
    if (at == NULL) Py_RETURN_FALSE;
    memcpy(at, bytes, (size_t)count);
    Py_RETURN_TRUE;
}

static PyObject *lab_py_slots(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct lab *lab = LAB(self);
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < lab->slot_count; i++) {
        const struct lab_slot *slot = &lab->slots[i];
        if (slot->address == 0) continue;
        PyObject *item = Py_BuildValue("(nKK)", (Py_ssize_t)i, (unsigned long long)slot->address,
                                       (unsigned long long)slot->size);
        if (item == NULL || PyList_Append(list, item) != 0) Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *lab_py_refill(PyObject *self, PyObject *Py_UNUSED(unused)) {
    lab_refill(LAB(self));
    Py_RETURN_NONE;
}

static bool test_events(const struct lab *lab, const struct lab_events *events) {
    for (size_t i = events->begin; i < events->end; i++) {
        if (events->slot[i] < 0 || (size_t)events->slot[i] >= lab->slot_count) {
            PyErr_Format(PyExc_ValueError, "slot %d of event %zd does not exist",
                         (int)events->slot[i], (Py_ssize_t)i);
            return false;
        }
    }
    return true;
}

static PyObject *lab_py_run(PyObject *self, PyObject *args) {
    Py_buffer op, slot, size, served = {.buf = NULL}, expected = {.buf = NULL};
    Py_ssize_t begin, end;
    if (!PyArg_ParseTuple(args, "y*y*y*nnw*z*", &op, &slot, &size, &begin, &end, &served,
                          &expected))
        return NULL;
    PyObject *answer = NULL;
    struct lab_events events = {op.buf,      slot.buf,   size.buf,    (size_t)begin,
                                (size_t)end, served.buf, expected.buf};
    if (begin < 0 || begin > end || end > op.len || slot.len != 4 * op.len ||
        size.len != 8 * op.len || served.len != op.len ||
        (expected.buf != NULL && expected.len != op.len)) {
        PyErr_SetString(PyExc_ValueError, "the events' arrays do not fit each other");
    } else if (test_events(LAB(self), &events)) {
        const struct lab_result r = lab_run(LAB(self), &events);
        answer =
            Py_BuildValue("(niKin)", (Py_ssize_t)r.event, (int)r.end, (unsigned long long)r.address,
                          (int)r.harm, (Py_ssize_t)r.harm_event);
    }
    PyBuffer_Release(&op);
    PyBuffer_Release(&slot);
    PyBuffer_Release(&size);
    PyBuffer_Release(&served);
    if (expected.obj != NULL) PyBuffer_Release(&expected);
    return answer;
}

/* [(address, size, allocated), ...] of a heap that nothing was done to yet; heaps with headers. */
static bool list_block(void *context, uint64_t address, uint64_t size, bool allocated) {
    PyObject *item = Py_BuildValue("(KKi)", (unsigned long long)address, (unsigned long long)size,
                                   (int)allocated);
    const bool added = item != NULL && PyList_Append(context, item) == 0;
    Py_XDECREF(item);
    return added;
}

static PyObject *lab_py_blocks(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct lab *lab = LAB(self);
    PyObject *list = PyList_New(0);
    if (list != NULL) lab->ops->walk(lab->state, list_block, list);
    if (list != NULL && PyErr_Occurred()) Py_CLEAR(list);
    return list;
}

static PyMethodDef lab_methods[] = {
    {"malloc", lab_py_malloc, METH_O, PyDoc_STR("malloc(size) -> (end, address)")},
    {"free", lab_py_free, METH_O, PyDoc_STR("free(address) -> (end, address)")},
    {"read", lab_py_read, METH_VARARGS, PyDoc_STR("read(address, count) -> bytes or None")},
    {"write", lab_py_write, METH_VARARGS, PyDoc_STR("write(address, bytes) -> bool")},
    {"slots", lab_py_slots, METH_NOARGS, PyDoc_STR("Live slots as (slot, address, size).")},
    {"refill", lab_py_refill, METH_NOARGS, PyDoc_STR("Write the payloads' patterns again.")},
    {"blocks", lab_py_blocks, METH_NOARGS, PyDoc_STR("Blocks; of a sound heap only.")},
    {"run", lab_py_run, METH_VARARGS,
     PyDoc_STR("run(op, slot, size, begin, end, served, expected) -> (event, end, address, harm, "
               "harm_event)")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot lab_slots[] = {
    {Py_tp_new, lab_new},
    {Py_tp_dealloc, lab_dealloc},
    {Py_tp_methods, lab_methods},
    {Py_tp_doc, "A heap in the corruption laboratory."},
    {0, NULL},
};

static PyType_Spec lab_spec = {
    .name = "rtosheap._lab.Lab",
    .basicsize = sizeof(struct lab_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = lab_slots,
};

static int lab_exec(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &lab_spec, NULL);
    if (type == NULL) return -1;
    const int result = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return result;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, lab_exec},
    {0, NULL},
};

static struct PyModuleDef lab_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "rtosheap._lab",
    .m_doc = "Heaps whose calls end where they would leave the arena.",
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__lab(void);
PyMODINIT_FUNC PyInit__lab(void) {
    return PyModuleDef_Init(&lab_module);
}
