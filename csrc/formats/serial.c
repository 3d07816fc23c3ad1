/* Logs that come through a serial line: those of a FreeRTOS kernel, and Pigweed's. */
#include "rh_logs.h"

enum { MOST_NUMBERS = 3, ESCAPE = 0x1b };

/* A line of the kernel's log. */
struct kernel_line {
    uint8_t op; /* M, F or X */
    uint64_t address;
    bool most; /* REQUESTED is at most that: "<=N" */
    int count; /* of the numbers behind the address: the last is the tick */
    uint64_t number[MOST_NUMBERS];
};

/* Reads a line that begins with an event, up to its end; NULL if it does not. */
static const uint8_t *read_kernel_line(const uint8_t *at, struct kernel_line *line) {
    line->op = *at;
    line->most = false;
    line->count = 0;
    if ((line->op != 'M' && line->op != 'F' && line->op != 'X') || at[1] != ' ') return NULL;
    at = rh_address(at + 2, &line->address);
    while (at != NULL && *at == ' ') {
        if (line->count == MOST_NUMBERS) return NULL;
        at++;
        if (line->count == 0 && at[0] == '<' && at[1] == '=') {
            line->most = true;
            at += 2;
        }
        at = rh_number(at, &line->number[line->count++]);
    }
    return at != NULL ? rh_line_end(at) : NULL;
}

/* Whether a terminal or a logger may end with this what it writes before a line. */
static bool ends_prefix(uint8_t byte) {
    return !((byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
             (byte >= 'a' && byte <= 'z') || byte == '_' || byte == '#');
}

/* The one place in a line where an event begins; NULL if there is none, or another, or an escape.
 */
static const uint8_t *only_start(const uint8_t *const line) {
    const uint8_t *found = NULL;
    for (const uint8_t *at = line; *at != '\n'; at++) {
        if (*at == ESCAPE) return NULL;
        if ((*at == 'M' || *at == 'F' || *at == 'X') && at[1] == ' ' && at[2] == '0' &&
            (at[3] == 'x' || at[3] == 'X') && (at == line || ends_prefix(at[-1]))) {
            if (found != NULL) return NULL;
            found = at;
        }
    }
    return found;
}

static bool take_kernel_line(struct rh_log *log, const struct kernel_line *line, bool sized,
                             int64_t number) {
    const uint64_t address = line->op == 'X' ? 0 : line->address;
    const uint64_t header = address >> 32 ? 16 : 8;
    uint64_t size = line->number[0];
    log->now = (int64_t)line->number[line->count - 1];
    if (line->op == 'F') return rh_log_free(log, address, number);
    if (!sized) size = size > header ? size - header : 0;
    log->losses[RH_LOSS_rounded_sizes] += address != 0 && (!sized || line->most);
    return rh_log_malloc(log, address, size, number);
}

enum rh_scan rh_scan_freertos(struct rh_log *log, struct rh_lines *lines, bool sized) {
    if (!rh_whole_lines(lines)) return RH_SCAN_UNUSUAL;
    const uint8_t *const end = lines->data + lines->length;
    for (const uint8_t *at = lines->data + lines->at; at < end; lines->line++) {
        struct kernel_line line;
        if (*at == '\n') {
            lines->at++;
            at++;
            continue;
        }
        const uint8_t *next = read_kernel_line(at, &line);
        if (next == NULL && (at = only_start(at)) != NULL) next = read_kernel_line(at, &line);
        if (next == NULL || line.count != (line.op != 'F' && sized ? 3 : 2) ||
            (line.most && (line.op == 'F' || !sized)) ||
            (int64_t)line.number[line.count - 1] < log->now)
            return RH_SCAN_UNUSUAL;
        if (!take_kernel_line(log, &line, sized, lines->line)) return RH_SCAN_FAILED;
        at = next;
        lines->at = (size_t)(at - lines->data);
    }
    return RH_SCAN_END;
}

enum rh_scan rh_scan_pigweed(struct rh_log *log, struct rh_lines *lines) {
    if (!rh_whole_lines(lines)) return RH_SCAN_UNUSUAL;
    const uint8_t *const end = lines->data + lines->length;
    for (const uint8_t *at = lines->data + lines->at; at < end; lines->line++) {
        const bool allocated = *at == 'm';
        uint64_t address, size = 0;
        if ((!allocated && *at != 'f') || at[1] != ' ') return RH_SCAN_UNUSUAL;
        at += 2;
        if (allocated) {
            at = rh_number(at, &size);
            if (at == NULL || *at++ != ' ') return RH_SCAN_UNUSUAL;
        }
        if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) at += 2;
        const uint8_t *const last = rh_hex(at, &address);
        const uint8_t *const next = last != NULL ? rh_line_end(last) : NULL;
        if (next == NULL) return RH_SCAN_UNUSUAL;
        rh_log_saw(log, last - at);
        if (!(allocated ? rh_log_malloc(log, address, size, lines->line)
                        : rh_log_free(log, address, lines->line)))
            return RH_SCAN_FAILED;
        at = next;
        lines->at = (size_t)(at - lines->data);
    }
    return RH_SCAN_END;
}
