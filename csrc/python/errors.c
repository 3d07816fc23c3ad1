#include "extension.h"

bool heap_ready(const struct heap *heap) {
    if (!heap->busy) return true;
    /* The thread that replayed stayed behind when this process was forked. */
    if (heap->replaying_in != 0 && heap->replaying_in != forks_generation()) return true;
    PyErr_SetString(PyExc_RuntimeError, "the heap is busy: a trace is being replayed on it");
    return false;
}

bool heap_has_arena(const struct heap *heap, const char *what) {
    if (heap->ops != NULL && heap->state != NULL) return true;
    if (heap->busy) return heap_ready(heap);
    PyErr_Format(PyExc_NotImplementedError,
                 "%s is not available for Heap3.host(): the C library does not tell", what);
    return false;
}

bool heap_ready_arena(const struct heap *heap, const char *what) {
    return heap_has_arena(heap, what) && heap_ready(heap);
}

/* A rule's name, and what is said of a header that breaks it. */
static const struct {
    const char *name, *text;
} rules[] = {
    [RH_RULE_NONE] = {"none", "nothing is wrong with"},
    [RH_RULE_OVERWRITTEN] = {"overwritten", "overwritten:"},
    [RH_RULE_SIZE] = {"size", "holds an impossible size:"},
    [RH_RULE_LINK] = {"link", "links to no free block:"},
    [RH_RULE_LIVE_LINK] = {"live link", "of an allocated block holds a link:"},
    [RH_RULE_ORDER] = {"order", "is out of the free list's order:"},
    [RH_RULE_NOT_FREE] = {"not free", "of an allocated block is in the free list:"},
    [RH_RULE_NOT_LISTED] = {"not listed", "of a free block is not in the free list:"},
    [RH_RULE_NOT_COALESCED] = {"not coalesced",
                               "follows a free block that it was not merged with:"},
    [RH_RULE_END_MARKER] = {"end marker", "is no end marker:"},
    [RH_RULE_FREE_SIZE] = {"free size", "and others do not add up to the free size:"},
};

static bool set_attribute(PyObject *error, const char *name, PyObject *value) {
    if (value == NULL) return false;
    int result = PyObject_SetAttrString(error, name, value);
    Py_DECREF(value);
    return result == 0;
}

static PyObject *fault_message(const struct rh_fault64 *fault, int64_t event) {
    char found[80], place[80];
    PyOS_snprintf(found, sizeof found, "0x%08llx 0x%08llx for 0x%08llx 0x%08llx",
                  (unsigned long long)fault->found[0], (unsigned long long)fault->found[1],
                  (unsigned long long)fault->expected[0], (unsigned long long)fault->expected[1]);
    if (fault->has_previous)
        PyOS_snprintf(place, sizeof place, "the block before it, at 0x%08llx, ends there",
                      (unsigned long long)fault->previous);
    else
        PyOS_snprintf(place, sizeof place, "no block lies before it");
    PyObject *address = hexadecimal(fault->address);
    if (address == NULL) return NULL;
    PyObject *message =
        fault->rule == RH_RULE_OVERWRITTEN
            ? PyUnicode_FromFormat("%s at %U overwritten; %s; it holds %s",
                                   fault->is_marker ? "end marker" : "header of the block", address,
                                   place, found)
            : PyUnicode_FromFormat("%s at %U %s rule \"%s\" broken; %s",
                                   fault->is_marker ? "end marker" : "header of the block", address,
                                   rules[fault->rule].text, rules[fault->rule].name, place);
    Py_DECREF(address);
    if (message != NULL && event >= 0) {
        PyObject *with_event =
            PyUnicode_FromFormat("%U (at event %lld)", message, (long long)event);
        Py_DECREF(message);
        message = with_event;
    }
    return message;
}

PyObject *heap_raise_last_fault(struct heap *heap, int64_t event) {
    struct rh_fault64 fault;
    heap->ops->last_fault(heap->state, &fault);
    PyObject *message = fault_message(&fault, event);
    if (message == NULL) return NULL;
    PyObject *error = PyObject_CallFunctionObjArgs(heap->core->corruption_error, message, NULL);
    Py_DECREF(message);
    if (error == NULL) return NULL;
    if (set_attribute(error, "address", PyLong_FromUnsignedLongLong(fault.address)) &&
        set_attribute(error, "previous", number_or_none(fault.has_previous, fault.previous)) &&
        set_attribute(error, "rule", PyUnicode_FromString(rules[fault.rule].name)) &&
        set_attribute(error, "event", event < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(event)))
        PyErr_SetObject(heap->core->corruption_error, error);
    Py_DECREF(error);
    return NULL;
}

PyObject *heap_raise_assertion(const struct heap *heap, const char *method) {
    const bool asserts = heap->ops->has_regions;
    PyErr_Format(asserts ? heap->core->assertion_error : heap->core->heap_error, "%s(): %s (%s)",
                 method, heap->ops->assertion(heap->state),
                 heap->ops->has_calls ? rh_nano_names[heap->newlib]
                                      : rh_kernels[heap->kernel].name);
    return NULL;
}

static PyObject *address_text(struct given_address address) {
    if (address.is_word) return hexadecimal(address.value);
    return PyUnicode_FromString("an int that is no address");
}

PyObject *heap_raise_free(struct heap *heap, struct given_address address, enum rh_status status) {
    if (status == RH_CORRUPT) return heap_raise_last_fault(heap, -1);
    if (status == RH_ASSERTION) return heap_raise_assertion(heap, "free");
    PyObject *text = address_text(address);
    if (text == NULL) return NULL;
    if (heap->ops != NULL && !heap->ops->can_free)
        PyErr_Format(heap->core->invalid_free_error, "free(%U): heap_%d cannot free", text,
                     heap->ops->kind);
    else if (status == RH_DOUBLE_FREE)
        PyErr_Format(heap->core->double_free_error,
                     "free(%U): the block was freed before, and malloc has not returned that "
                     "address since",
                     text);
    else
        heap_raise_not_live(heap, "free", address, status);
    Py_DECREF(text);
    return NULL;
}

PyObject *heap_raise_not_live(const struct heap *heap, const char *method,
                              struct given_address address, enum rh_status status) {
    PyObject *text = address_text(address);
    if (text == NULL) return NULL;
    PyErr_Format(heap->core->invalid_free_error, "%s(%U): not the address of a live block%s",
                 method, text, status == RH_DOUBLE_FREE ? " (it was freed)" : "");
    Py_DECREF(text);
    return NULL;
}
