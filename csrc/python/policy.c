/* Policy heaps: the type, and their policies between Python and the core. */
#include "extension.h"

static const char *const fits[] = RH_FIT_NAMES;
static const char *const orders[] = RH_ORDER_NAMES;
static const char *const coalesces[] = RH_COALESCE_NAMES;

PyObject *policy_tuple(const struct rh_policy *policy) {
    return Py_BuildValue("(sssKsk)", fits[policy->fit], orders[policy->order],
                         coalesces[policy->coalesce], (unsigned long long)policy->split,
                         policy->cut_end ? "end" : "front", 1ul << policy->class_bits);
}

/* The place of a name among those that there are; -1 with an exception. */
static int place_of(PyObject *name, const char *what, const char *const *names, int count) {
    for (int i = 0; PyUnicode_Check(name) && i < count; i++)
        if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0) return i;
    PyErr_Format(PyExc_ValueError, "policy: there is no %s %R", what, name);
    return -1;
}

bool policy_take(PyObject *tuple, struct rh_policy *policy) {
    static const char *const ends[] = {"front", "end"};
    PyObject *fit, *order, *coalesce, *split, *cut;
    unsigned long classes;
    if (!PyTuple_Check(tuple)) {
        PyErr_Format(PyExc_TypeError, "policy must be a tuple, not %R", tuple);
        return false;
    }
    if (!PyArg_ParseTuple(tuple, "OOOOOk;policy: (fit, order, coalesce, split, cut, classes)", &fit,
                          &order, &coalesce, &split, &cut, &classes) ||
        !convert_option(split, "policy: split", UINT64_MAX, &policy->split))
        return false;
    const int places[] = {
        place_of(fit, "fit", fits, RH_FITS),
        PyErr_Occurred() ? -1 : place_of(order, "order", orders, RH_ORDERS),
        PyErr_Occurred() ? -1 : place_of(coalesce, "coalesce", coalesces, RH_COALESCES),
        PyErr_Occurred() ? -1 : place_of(cut, "cut", ends, 2)};
    if (PyErr_Occurred()) return false;
    policy->fit = (enum rh_fit)places[0];
    policy->order = (enum rh_order)places[1];
    policy->coalesce = (enum rh_coalesce)places[2];
    policy->cut_end = places[3] != 0;
    for (policy->class_bits = 0; policy->class_bits <= RH_MOST_CLASS_BITS; policy->class_bits++)
        if (1ul << policy->class_bits == classes) return true;
    PyErr_Format(PyExc_ValueError, "policy: classes is %lu; it must be a power of two up to %d",
                 classes, 1 << RH_MOST_CLASS_BITS);
    return false;
}

PyObject *policy_get(PyObject *self, void *Py_UNUSED(unused)) {
    const struct heap *heap = (struct heap *)self;
    if (heap->ops == NULL || heap->ops->kind != RH_KIND_POLICY) Py_RETURN_NONE;
    return policy_tuple(&heap->policy);
}

PyObject *policy_get_nodes(PyObject *self, void *Py_UNUSED(unused)) {
    const struct heap *heap = (struct heap *)self;
    if (!heap_has_arena(heap, "_nodes")) return NULL;
    return PyLong_FromUnsignedLongLong(heap->ops->nodes(heap->state));
}

static PyType_Slot policy_slots[] = {
    {Py_tp_new, policy_heap_new},
    {Py_tp_dealloc, heap_dealloc},
    {Py_tp_traverse, heap_traverse},
    {Py_tp_doc, "PolicyHeap(regions, policy, *, word_size=4, alignment=8, clear_on_free=False, "
                "end_marker_address=None)\n--\n\nA heap of a chosen policy."},
    {0, NULL},
};

PyType_Spec core_policy_spec = {
    .name = "rtosheap._core.PolicyHeap",
    .basicsize = sizeof(struct heap),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = policy_slots,
};
