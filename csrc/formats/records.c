#include "rh_records.h"

#include "rh_record.h"

enum { REQUESTED, ROUNDED };
enum { NAMED_TASKS = 256 };

struct reader {
    struct rh_records *records;
    struct rh_log *log;
    int64_t seen;  /* events read */
    int64_t count; /* the number of the next event, < 0 if it is not known */
    bool clocked;  /* whether the whole time is known */
    int64_t time;
    int64_t offset; /* of the device's clock, which a restart sets back */
    uint32_t key[NAMED_TASKS];
};

size_t rh_find_sync(const uint8_t *data, size_t length) {
    struct rh_record record;
    const uint8_t *const end = data + length;
    const uint8_t *at = length > 4 ? data + 4 : end;
    while (at < end && (at = memchr(at, 'R', (size_t)(end - at))) != NULL) {
        const size_t start = (size_t)(at - data) - 4;
        if (rh_record_at(data, length, start, &record) && record.kind == 's') return start;
        at++;
    }
    return length;
}

static void take_parameters(struct rh_records *records, const struct rh_record *sync) {
    records->base = sync->address;
    records->shift = sync->old & 0xFF;
    records->overhead = sync->old >> 16 & 0xFF;
    records->meaning = (unsigned)(sync->old >> 24);
}

/* The first whole time tells those of the events before it, whose ticks are modulo 16. */
static void set_early_times(struct reader *reader, int64_t time) {
    int64_t *const times = reader->log->column[RH_COLUMN_time];
    for (size_t i = reader->log->count; i-- > 0;)
        times[i] = time -= (time - times[i]) & 15;
}

/* A tick of 32 bits, which may have wrapped since the time that is known. */
static void take_whole_time(struct reader *reader, uint32_t tick) {
    if (!reader->clocked) {
        set_early_times(reader, tick);
        reader->time = tick;
        reader->clocked = true;
        return;
    }
    const uint32_t ahead = tick + (uint32_t)reader->offset - (uint32_t)reader->time;
    if (ahead < UINT32_C(1) << 31) reader->time += ahead; /* else it lies before what is known */
}

static void take_sync(struct reader *reader, const struct rh_record *sync) {
    uint64_t *const lost = &reader->log->losses[RH_LOSS_lost_events];
    const int64_t number = (int64_t)sync->size;
    if (number < reader->count) { /* the device was started anew */
        rh_live_clear(&reader->log->live);
        reader->count = 0;
        reader->offset = reader->time - sync->tick;
    }
    if (reader->count >= 0)
        *lost += (uint64_t)(number - reader->count);
    else
        *lost = number > reader->seen ? (uint64_t)(number - reader->seen) : 0;
    reader->count = number;
    take_parameters(reader->records, sync);
    take_whole_time(reader, sync->tick);
}

/* Its time and task become those of the log's next event. */
static void take_moment(struct reader *reader, const struct rh_record *record) {
    struct rh_log *const log = reader->log;
    if (!record->narrow)
        take_whole_time(reader, record->tick);
    else if (reader->clocked)
        reader->time += (record->tick + reader->offset - reader->time) & 15;
    log->now = reader->clocked ? reader->time : record->tick;
    log->who = (int)(record->task < NAMED_TASKS ? reader->key[record->task] : record->task);
}

/* The request as far as the size tells it. */
static uint64_t asked(struct reader *reader, uint64_t size) {
    const struct rh_records *const records = reader->records;
    if (records->meaning == REQUESTED) return size;
    reader->log->losses[RH_LOSS_rounded_sizes]++;
    if (records->meaning == ROUNDED) return size;
    return size > records->overhead ? size - records->overhead : 0;
}

/* The address of a short record; false if 64 bits do not hold it. */
static bool whole_address(const struct rh_records *records, uint64_t *address) {
    if (*address != 0 && (records->shift > 63 || *address > UINT64_MAX >> records->shift))
        return false;
    if (*address != 0) *address <<= records->shift;
    *address += records->base;
    return *address >= records->base;
}

static enum rh_scan take_event(struct reader *reader, const struct rh_record *record) {
    struct rh_log *const log = reader->log;
    uint64_t address = record->address;
    if (reader->count >= 0) {
        const unsigned gap = (record->number - (unsigned)reader->count) & 63;
        log->losses[RH_LOSS_lost_events] += gap;
        reader->count += gap + 1;
    }
    const int64_t line = ++reader->seen;
    take_moment(reader, record);
    const bool held = !record->narrow || whole_address(reader->records, &address);
    bool enough = true;
    if (record->kind == 'x')
        rh_log_fail(log, record->size != 0 ? asked(reader, record->size) : 0);
    else if (record->kind == 'r')
        enough = rh_log_realloc(log, record->old, address, record->size, line);
    else if (record->kind == 'f' && held)
        enough = rh_log_free(log, address, line);
    else if (record->kind == 'f')
        log->losses[RH_LOSS_foreign_frees]++;
    else if (held)
        enough = rh_log_malloc(log, address, asked(reader, record->size), line);
    else
        reader->records->beyond = record->address;
    if (!held && record->kind == 'm') return RH_SCAN_UNUSUAL;
    return enough ? RH_SCAN_END : RH_SCAN_FAILED;
}

static enum rh_scan take(struct reader *reader, const struct rh_record *record) {
    struct rh_records *const records = reader->records;
    int64_t key;
    switch (record->kind) {
    case 's': take_sync(reader, record); return RH_SCAN_END;
    case 't': take_whole_time(reader, record->tick); return RH_SCAN_END;
    case 'c': return RH_SCAN_END;
    case 'n':
        key = records->key_of(records->context, (uint8_t)record->task, record->name,
                              (size_t)record->size);
        if (key < 0) return RH_SCAN_FAILED;
        reader->key[record->task] = (uint32_t)key;
        return RH_SCAN_END;
    default: return take_event(reader, record);
    }
}

enum rh_scan rh_records_read(struct rh_records *records) {
    struct reader reader = {.records = records, .log = records->log, .count = -1};
    const uint8_t *const data = records->data;
    const size_t length = records->length;
    uint64_t *const damaged = &reader.log->losses[RH_LOSS_damaged_bytes];
    struct rh_record record;
    int expected = -1;
    for (uint32_t task = 0; task < NAMED_TASKS; task++)
        reader.key[task] = task;
    if (rh_record_at(data, length, rh_find_sync(data, length), &record))
        take_parameters(records, &record);
    *damaged = length; /* what no whole record has */
    for (size_t at = 0; at < length; at += record.length) {
        const bool whole = rh_record_at(data, length, at, &record);
        if (!whole || (expected >= 0 && record.number != (unsigned)expected)) {
            at = rh_record_resume(data, length, at, expected);
            if (!rh_record_at(data, length, at, &record)) break;
        }
        *damaged -= record.length;
        expected = (int)rh_record_after(&record);
        const enum rh_scan result = take(&reader, &record);
        if (result != RH_SCAN_END) return result;
    }
    return RH_SCAN_END;
}
