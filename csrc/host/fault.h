/*
 * What lies at the header at fault, and which block ends there. A part of word_size.h.
 */

struct search {
    uint64_t address;
    struct rh_fault64 *fault;
};

static bool find_previous(void *context, uint64_t address, uint64_t size, bool allocated) {
    struct search *search = context;
    (void)allocated;
    if (address + size != search->address) return address < search->address;
    search->fault->has_previous = true;
    search->fault->previous = address;
    return false;
}

/* Of the last fault; `walk` is the heap's, over its blocks. */
static void describe(void *state,
                     enum rh_status (*walk)(void *state, rh_visitor64 visit, void *context),
                     struct rh_fault64 *wide) {
    const struct rh_fault fault = common_of(state)->fault;
    struct rh_fault64 empty = {.rule = fault.rule, .address = fault.address};
    *wide = empty;
    const struct rh_region *region = rh_find_region(common_of(state), fault.address);
    if (region == NULL || !rh_inside(region, fault.address, 2 * RH_WORD_BYTES)) return;
    for (unsigned i = 0; i < 2; i++) {
        wide->found[i] = rh_load(region, fault.address + i * RH_WORD_BYTES);
        wide->expected[i] = rh_get(region, fault.address + i * RH_WORD_BYTES);
    }
    struct search search = {fault.address, wide};
    walk(state, find_previous, &search);
}
