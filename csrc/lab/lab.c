#include "lab_config.h"

#include "lab.h"

extern const struct rh_ops *const lab_ops_0_w32[RH_KINDS], *const lab_ops_0_w64[RH_KINDS];
extern const struct rh_ops *const lab_ops_1_w32[RH_KINDS], *const lab_ops_1_w64[RH_KINDS];
extern const struct rh_ops *const lab_ops_2_w32[RH_KINDS], *const lab_ops_2_w64[RH_KINDS];

const struct rh_ops *lab_ops(int checks, int kind, int word_bytes) {
    const struct rh_ops *const *const tables[3][2] = {
        {lab_ops_0_w32, lab_ops_0_w64},
        {lab_ops_1_w32, lab_ops_1_w64},
        {lab_ops_2_w32, lab_ops_2_w64},
    };
    if (checks < 0 || checks > 2 || kind < 1 || kind > 5 || (word_bytes != 4 && word_bytes != 8))
        return NULL;
    return tables[checks][word_bytes == 8][kind - 1];
}

/* --- the trap ----------------------------------------------------------------------------------
 */

/* Whose call runs in this thread: the core's accesses name a region, not a heap. */
static _Thread_local struct lab *running;

void lab_trap(uint64_t address, uint64_t bytes, bool writes) {
    struct lab *lab = running;
    if (lab == NULL) return;
    if (++lab->steps > lab->budget)
        lab->end = LAB_LOOP;
    else if (lab_bytes(lab, address, bytes) == NULL)
        lab->end = writes ? LAB_WILD_WRITE : LAB_WILD_READ;
    else
        return;
    lab->address = address;
    longjmp(lab->escape, 1);
}

void lab_assert_failed(void) {
    struct lab *lab = running;
    if (lab == NULL) return;
    lab->end = LAB_DETECTED;
    longjmp(lab->escape, 1);
}

unsigned char *lab_bytes(const struct lab *lab, uint64_t address, uint64_t bytes) {
    for (size_t i = 0; i < lab->setup.region_count; i++) {
        const struct rh_setup_region *region = &lab->regions[i];
        const uint64_t offset = address - region->base;
        if (address >= region->base && offset <= region->size && bytes <= region->size - offset)
            return region->memory + offset;
    }
    return NULL;
}

/* --- calls -------------------------------------------------------------------------------------
 */

enum lab_end lab_malloc(struct lab *lab, uint64_t size, uint64_t *address) {
    *address = 0;
    lab->address = lab->steps = 0;
    running = lab;
    if (setjmp(lab->escape) != 0) {
        running = NULL;
        *address = 0;
        return lab->end;
    }
    const enum rh_status status = lab->ops->malloc(lab->state, size, address);
    running = NULL;
    if (status == RH_OK) return LAB_DONE;
    return status == RH_CORRUPT ? LAB_DETECTED : LAB_FAILED;
}

enum lab_end lab_free(struct lab *lab, uint64_t address) {
    lab->address = lab->steps = 0;
    /* heap_1 asserts, and does nothing. */
    if (!lab->ops->can_free) return lab->checks == 0 ? LAB_IGNORED : LAB_DETECTED;
    running = lab;
    if (setjmp(lab->escape) != 0) {
        running = NULL;
        return lab->end;
    }
    const enum rh_status status = lab->ops->free(lab->state, address);
    running = NULL;
    if (status == RH_OK) return LAB_DONE;
    /* What a release of newlib gets wrong by itself detects nothing. */
    return lab->checks == 0 || status == RH_ASSERTION ? LAB_IGNORED : LAB_DETECTED;
}

/* --- the application ----------------------------------------------------------------------------
 */

static unsigned char pattern(uint64_t seed, uint64_t i) {
    uint64_t x = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15) + i * UINT64_C(0xD1B54A32D192ED03);
    return (unsigned char)(x >> 56 ^ x >> 29);
}

static void fill(unsigned char *bytes, const struct lab_slot *slot) {
    for (uint64_t i = 0; i < slot->size; i++)
        bytes[i] = pattern(slot->seed, i);
}

static bool unharmed(const struct lab *lab, const struct lab_slot *slot) {
    const unsigned char *bytes = lab_bytes(lab, slot->address, slot->size);
    if (bytes == NULL) return false;
    for (uint64_t i = 0; i < slot->size; i++)
        if (bytes[i] != pattern(slot->seed, i)) return false;
    return true;
}

void lab_refill(struct lab *lab) {
    for (size_t i = 0; i < lab->slot_count; i++) {
        const struct lab_slot *slot = &lab->slots[i];
        if (slot->address == 0) continue;
        unsigned char *bytes = lab_bytes(lab, slot->address, slot->size);
        if (bytes != NULL) fill(bytes, slot);
    }
}

static bool overlaps(const struct lab *lab, uint64_t address, uint64_t size) {
    for (size_t i = 0; i < lab->slot_count; i++) {
        const struct lab_slot *other = &lab->slots[i];
        if (other->address != 0 && address < other->address + other->size &&
            other->address < address + size)
            return true;
    }
    return false;
}

static void note_harm(struct lab_result *result, enum lab_harm harm) {
    if (result->harm != LAB_NO_HARM) return;
    result->harm = harm;
    result->harm_event = result->event;
}

static enum lab_end run_malloc(struct lab *lab, const struct lab_events *events,
                               struct lab_result *result) {
    struct lab_slot slot = {0, events->size[result->event], lab->events++};
    const enum lab_end end = lab_malloc(lab, slot.size, &slot.address);
    if (events->served != NULL) events->served[result->event] = end == LAB_DONE;
    if (end == LAB_FAILED) {
        if (events->expected != NULL && events->expected[result->event] != 0)
            note_harm(result, LAB_LOST);
        return LAB_DONE;
    }
    if (end != LAB_DONE) return end;
    if (overlaps(lab, slot.address, slot.size)) note_harm(result, LAB_OVERLAP);
    unsigned char *bytes = lab_bytes(lab, slot.address, slot.size);
    if (bytes == NULL) { /* the application writes where malloc told it to */
        lab->address = slot.address;
        return LAB_WILD_WRITE;
    }
    fill(bytes, &slot);
    lab->slots[events->slot[result->event]] = slot;
    return LAB_DONE;
}

static enum lab_end run_free(struct lab *lab, struct lab_slot *slot, struct lab_result *result) {
    if (slot->address == 0) return LAB_DONE;
    if (!unharmed(lab, slot)) note_harm(result, LAB_OVERWRITTEN);
    const uint64_t address = slot->address;
    slot->address = 0;
    const enum lab_end end = lab_free(lab, address);
    return end == LAB_IGNORED ? LAB_DONE : end;
}

struct lab_result lab_run(struct lab *lab, const struct lab_events *events) {
    struct lab_result result = {events->begin, LAB_DONE, 0, LAB_NO_HARM, 0};
    for (; result.event < events->end; result.event++) {
        result.end = events->op[result.event] == 'm'
                         ? run_malloc(lab, events, &result)
                         : run_free(lab, &lab->slots[events->slot[result.event]], &result);
        if (result.end != LAB_DONE) {
            result.address = lab->address;
            return result;
        }
    }
    for (size_t i = 0; i < lab->slot_count; i++)
        if (lab->slots[i].address != 0 && !unharmed(lab, &lab->slots[i]))
            note_harm(&result, LAB_OVERWRITTEN);
    return result;
}
