/* The module: its method table, its state, and one place where it is made. */
#include "extension.h"

static PyMethodDef core_methods[] = {
    {"replay", (PyCFunction)(void (*)(void))core_replay, METH_FASTCALL,
     PyDoc_STR("Run a trace on a heap; rtosheap.replay() is its public face.")},
    {"best_fit_sizes", core_best_fit_sizes, METH_VARARGS,
     PyDoc_STR("Which sizes of a heap_2 serve a trace.")},
    {"best_fit_sizes_beside", core_best_fit_sizes_beside, METH_VARARGS,
     PyDoc_STR("The same of a few neighbouring sizes.")},
    {"sbrk_sizes", core_sbrk_sizes, METH_VARARGS,
     PyDoc_STR("Which sizes of a heap_3 serve a trace.")},
    {"_restore", core_restore, METH_VARARGS,
     PyDoc_STR("_restore(cls, memories, snapshot): a heap in the state of a snapshot.")},
    {NULL, NULL, 0, NULL},
};

struct core_state *core_state_of_type(PyTypeObject *type) {
    for (PyTypeObject *t = type; t != NULL; t = PyType_GetSlot(t, Py_tp_base)) {
        if ((PyType_GetFlags(t) & Py_TPFLAGS_HEAPTYPE) == 0) break;
        PyObject *module = PyType_GetModule(t);
        if (module == NULL)
            PyErr_Clear();
        else if (PyModule_GetDef(module) == &core_module)
            return PyModule_GetState(module);
    }
    PyErr_Format(PyExc_TypeError, "%R is not a heap type", (PyObject *)type);
    return NULL;
}

static PyObject *add_error(PyObject *module, const char *name, PyObject *base, PyObject *attributes,
                           const char *doc) {
    char qualified[64];
    PyOS_snprintf(qualified, sizeof qualified, "rtosheap.%s", name);
    PyObject *error = PyErr_NewExceptionWithDoc(qualified, doc, base, attributes);
    if (error != NULL && PyModule_AddObjectRef(module, name, error) != 0) Py_CLEAR(error);
    return error;
}

static PyTypeObject *make_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base) {
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
}

/* Takes over `value`; NULL is an error that was raised. */
static int add_value(PyObject *module, const char *name, PyObject *value) {
    if (value == NULL) return -1;
    int result = PyModule_AddObjectRef(module, name, value);
    Py_DECREF(value);
    return result;
}

static const char heap_error_doc[] =
    "What every heap error is.\n\n"
    "Examples\n"
    "--------\n"
    ">>> from rtosheap import Heap4, HeapError\n"
    ">>> heap = Heap4(1024)\n"
    ">>> try:\n"
    "...     heap.free(0x2000_0010)\n"
    "... except HeapError as error:\n"
    "...     print(f\"{type(error).__name__}: {error}\")\n"
    "InvalidFreeError: free(0x20000010): not the address of a live block\n";

static const char invalid_free_error_doc[] =
    "The address is not that of a live block. The heap is as it was.\n\n"
    "Examples\n"
    "--------\n"
    ">>> from rtosheap import Heap4\n"
    ">>> heap = Heap4(1024)\n"
    ">>> p = heap.malloc(100)\n"
    ">>> heap.free(p + 4)\n"
    "Traceback (most recent call last):\n"
    "rtosheap.InvalidFreeError: free(0x2000000c): not the address of a live block\n";

static const char double_free_error_doc[] =
    "The address was that of a block, and the block is free now. The heap is as it was.\n\n"
    "Examples\n"
    "--------\n"
    ">>> from rtosheap import DoubleFreeError, Heap4\n"
    ">>> heap = Heap4(1024)\n"
    ">>> p = heap.malloc(100)\n"
    ">>> heap.free(p)\n"
    ">>> try:\n"
    "...     heap.free(p)\n"
    "... except DoubleFreeError as error:\n"
    "...     print(error)\n"
    "free(0x20000008): the block was freed before, and malloc has not returned that address "
    "since\n";

static const char corruption_error_doc[] =
    "The arena was overwritten.\n\n"
    "Attributes\n"
    "----------\n"
    "address : int or None\n"
    "    Of the header that is wrong.\n"
    "rule : str or None\n"
    "    What it breaks, in a word: ``\"overwritten\"``, ``\"size\"``, ``\"link\"``.\n"
    "previous : int or None\n"
    "    Address of the block before it, None if it is the first.\n"
    "event : int or None\n"
    "    The event of the replay that met it, None outside of one.\n\n"
    "Examples\n"
    "--------\n"
    ">>> from rtosheap import Heap4, HeapCorruptionError\n"
    ">>> heap = Heap4(1024)\n"
    ">>> p = heap.malloc(100)\n"
    ">>> heap.memory[108:116] = bytes(8)  # 4 bytes too many\n"
    ">>> try:\n"
    "...     heap.check()\n"
    "... except HeapCorruptionError as error:\n"
    "...     print(hex(error.address), error.rule, hex(error.previous))\n"
    "0x20000070 overwritten 0x20000000\n";

static const char assertion_error_doc[] =
    "The kernel asserts here, so that the device would stop; nothing changed.\n\n"
    "Examples\n"
    "--------\n"
    ">>> from rtosheap import Heap5, HeapAssertionError\n"
    ">>> regions = [(0x2000_0000, 512), (0x2001_0000, 512)]\n"
    ">>> heap = Heap5(regions, canary=0x5EED, kernel=\"V11.2.0\")\n"
    ">>> try:\n"
    "...     heap.malloc(800)\n"
    "... except HeapAssertionError as error:\n"
    "...     print(error)\n"
    "malloc(): no free block is large enough, and with the heap protector this kernel's heap_5\n"
    "then asserts (V11.2.0)\n";

static int add_errors(PyObject *module, struct core_state *core) {
    PyObject *attributes = Py_BuildValue("{s:O,s:O,s:O,s:O}", "address", Py_None, "rule", Py_None,
                                         "previous", Py_None, "event", Py_None);
    if (attributes == NULL) return -1;
    core->heap_error = add_error(module, "HeapError", NULL, NULL, heap_error_doc);
    if (core->heap_error != NULL)
        core->invalid_free_error =
            add_error(module, "InvalidFreeError", core->heap_error, NULL, invalid_free_error_doc);
    if (core->invalid_free_error != NULL)
        core->double_free_error = add_error(module, "DoubleFreeError", core->invalid_free_error,
                                            NULL, double_free_error_doc);
    if (core->double_free_error != NULL)
        core->corruption_error = add_error(module, "HeapCorruptionError", core->heap_error,
                                           attributes, corruption_error_doc);
    if (core->corruption_error != NULL)
        core->assertion_error =
            add_error(module, "HeapAssertionError", core->heap_error, NULL, assertion_error_doc);
    Py_DECREF(attributes);
    return core->assertion_error == NULL ? -1 : 0;
}

/* (name, what it does otherwise by the heap's number) of each release, the newest last. */
static PyObject *kernel_table(void) {
    PyObject *table = PyTuple_New((Py_ssize_t)rh_kernel_count);
    for (size_t i = 0; table != NULL && i < rh_kernel_count; i++) {
        const unsigned *old = rh_kernels[i].old;
        PyObject *row =
            Py_BuildValue("(s(IIIII))", rh_kernels[i].name, old[0], old[1], old[2], old[3], old[4]);
        if (row == NULL || PyTuple_SetItem(table, (Py_ssize_t)i, row) != 0) Py_CLEAR(table);
    }
    return table;
}

static PyObject *newlib_table(void) {
    PyObject *table = PyTuple_New(RH_NANO_VERSIONS);
    for (Py_ssize_t i = 0; table != NULL && i < RH_NANO_VERSIONS; i++) {
        PyObject *name = PyUnicode_FromString(rh_nano_names[i]);
        if (name == NULL || PyTuple_SetItem(table, i, name) != 0) Py_CLEAR(table);
    }
    return table;
}

static int core_exec(PyObject *module) {
    struct core_state *core = PyModule_GetState(module);
    if (forks_watch() != 0 || add_errors(module, core) != 0) return -1;
    core->arena_type = make_type(module, &core_arena_spec, NULL);
    core->loan_type = make_type(module, &core_loan_spec, NULL);
    core->heap_type = make_type(module, &core_heap_spec, NULL);
    if (core->arena_type == NULL || core->loan_type == NULL || core->heap_type == NULL) return -1;
    if (PyModule_AddType(module, core->heap_type) != 0) return -1;
    for (int i = 0; i < RH_KINDS; i++) {
        core->heap_types[i] =
            make_type(module, i < 5 ? &core_heap_specs[i] : &core_policy_spec, core->heap_type);
        if (core->heap_types[i] == NULL || PyModule_AddType(module, core->heap_types[i]) != 0)
            return -1;
        PyObject *kind = PyLong_FromLong(i + 1);
        if (kind == NULL) return -1;
        int result = PyObject_SetAttrString((PyObject *)core->heap_types[i], "kind", kind);
        Py_DECREF(kind);
        if (result != 0) return -1;
    }
    if (add_value(module, "COLUMNS", core_column_names()) != 0) return -1;
    if (add_value(module, "KERNELS", kernel_table()) != 0) return -1;
    if (add_value(module, "NEWLIBS", newlib_table()) != 0) return -1;
    if (PyModule_AddIntConstant(module, "SLOT_BYTES", core_slot_bytes()) != 0) return -1;
    return add_value(module, "FAILURES", core_failure_names());
}

static int core_traverse(PyObject *module, visitproc visit, void *arg) {
    struct core_state *core = PyModule_GetState(module);
    Py_VISIT(core->arena_type);
    Py_VISIT(core->loan_type);
    Py_VISIT(core->heap_type);
    for (int i = 0; i < RH_KINDS; i++)
        Py_VISIT(core->heap_types[i]);
    Py_VISIT(core->heap_error);
    Py_VISIT(core->invalid_free_error);
    Py_VISIT(core->double_free_error);
    Py_VISIT(core->corruption_error);
    Py_VISIT(core->assertion_error);
    return 0;
}

static int core_clear(PyObject *module) {
    struct core_state *core = PyModule_GetState(module);
    Py_CLEAR(core->arena_type);
    Py_CLEAR(core->loan_type);
    Py_CLEAR(core->heap_type);
    for (int i = 0; i < RH_KINDS; i++)
        Py_CLEAR(core->heap_types[i]);
    Py_CLEAR(core->heap_error);
    Py_CLEAR(core->invalid_free_error);
    Py_CLEAR(core->double_free_error);
    Py_CLEAR(core->corruption_error);
    Py_CLEAR(core->assertion_error);
    return 0;
}

static void core_free(void *module) {
    core_clear(module);
}

static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
    {0, NULL},
};

struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "rtosheap._core",
    .m_doc = "The five FreeRTOS heaps over the C core, and the replay of traces.",
    .m_size = sizeof(struct core_state),
    .m_methods = core_methods,
    .m_slots = core_slots,
    .m_traverse = core_traverse,
    .m_clear = core_clear,
    .m_free = core_free,
};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void) {
    return PyModuleDef_Init(&core_module);
}
