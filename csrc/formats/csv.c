#include "rh_names.h"
#include "rh_text.h"

/* What of a row is known when all its cells were read. */
struct row {
    const uint8_t *task; /* of so many bytes; none without one */
    size_t length;
    bool sized;
};

static const uint8_t *read_task(const uint8_t *at, struct row *row) {
    row->task = at;
    while (*at != ',' && *at != '\n' && *at != '"')
        at++;
    if (*at == '\n' && at > row->task && at[-1] == '\r') at--;
    row->length = (size_t)(at - row->task);
    return at;
}

/* Reads a cell into the arrays' next place, up to the comma or the line's end behind it; NULL if it
 * is unusual. */
static const uint8_t *read_cell(struct rh_text *text, enum rh_cell cell, const uint8_t *at,
                                struct row *row) {
    const size_t i = text->count;
    uint64_t value = 0;
    if (cell == RH_CELL_task) return read_task(at, row);
    if (cell == RH_CELL_op) {
        text->op[i] = *at;
        return *at == 'm' || *at == 'f' || *at == 'r' ? at + 1 : NULL;
    }
    const bool given = *at != ',' && *at != '\r' && *at != '\n';
    if (given) at = rh_number(at, &value);
    if (cell == RH_CELL_id) {
        text->id[i] = (int64_t)value;
        return given ? at : NULL;
    }
    if (cell == RH_CELL_size) {
        text->size[i] = value;
        row->sized = given;
    } else {
        text->time[i] = (int64_t)value;
        text->timed[i] = given;
    }
    return at;
}

/* Reads a row into the arrays' next place. A name is asked for once all else is right. */
static enum rh_scan read_row(struct rh_text *text, struct rh_names *names, const uint8_t *order,
                             size_t cells, const uint8_t **next) {
    const size_t i = text->count;
    const uint8_t *at = *next;
    struct row row = {.length = 0};
    text->time[i] = 0;
    text->timed[i] = false;
    text->task[i] = -1;
    for (size_t cell = 0; cell < cells; cell++) {
        if (cell > 0 && *at++ != ',') return RH_SCAN_UNUSUAL;
        at = read_cell(text, (enum rh_cell)order[cell], at, &row);
        if (at == NULL) return RH_SCAN_UNUSUAL;
    }
    at = rh_line_end(at);
    if (at == NULL || (text->op[i] == 'f' ? text->size[i] != 0 : !row.sized))
        return RH_SCAN_UNUSUAL;
    if (row.length > 0) {
        const int32_t code = rh_code_of(names, row.task, row.length, text->code_of, text->context);
        if (code < 0) return code == RH_NAME_FAILED ? RH_SCAN_FAILED : RH_SCAN_UNUSUAL;
        text->task[i] = code;
    }
    text->lines[i] = text->line;
    text->count = i + 1;
    *next = at;
    return RH_SCAN_END;
}

enum rh_scan rh_csv_scan(struct rh_text *text, const uint8_t *order, size_t cells) {
    if (text->length == 0 || text->data[text->length - 1] != '\n') return RH_SCAN_UNUSUAL;
    struct rh_names names = {.seed = text->seed};
    const uint8_t *at = text->data + text->at;
    const uint8_t *const end = text->data + text->length;
    enum rh_scan result = RH_SCAN_END;
    while (at < end && result == RH_SCAN_END) {
        if (*at == '\n')
            at++;
        else if (text->count == text->room)
            result = RH_SCAN_UNUSUAL;
        else
            result = read_row(text, &names, order, cells, &at);
        if (result == RH_SCAN_END) text->line++;
    }
    text->at = (size_t)(at - text->data);
    rh_names_drop(&names);
    return result;
}
