/* phys_size.c: E, the end of the last allocation, in the header. Our experimental extension of the format.
 *
 *   header-field    E is written wherever the mark is, in the same sector: no write and no flush more. While the image is
 *                   not marked, E says where allocation goes on, and a device of fixed length need not be scanned.
 *   autoclear-bit   no mark: the bit vouches for E and for the tables. It goes where the mark would be set and comes where
 *                   the mark would go. A program that does not know it clears it, so whatever that program did is looked at.
 *
 * An image without a valid E is one of a design without the field. docs/format.md 1.8.
 */
#include <endian.h>
#include <string.h>

#include "engine/internal.h"

/* A backing file's name may lie where E would. */
bool qed_phys_size_fits(const struct qed_header *h)
{
    return !(h->features & QED_F_BACKING_FILE) ||
           (uint64_t)h->backing_filename_offset + h->backing_filename_size <= QED_PHYS_SIZE_OFFSET ||
           h->backing_filename_offset >= BLK_SECTOR_BYTES;
}

bool qed_phys_size_in(const struct qed *q, uint64_t values)
{
    return qed_phys_size_fits(&q->header) && qed_design_in(q->design, QED_FIELD_phys_size, values);
}

void qed_phys_size_load(struct qed *q, const uint8_t *sector)
{
    uint64_t le;
    memcpy(&le, sector + QED_PHYS_SIZE_OFFSET, sizeof(le));
    q->phys_size = qed_phys_size_fits(&q->header) ? le64toh(le) : 0;
}

void qed_header_put(const struct qed *q, uint8_t *sector)
{
    uint64_t le = htole64(q->phys_size);
    qed_header_encode(&q->header, sector);
    if (q->phys_size && qed_phys_size_fits(&q->header))
        memcpy(sector + QED_PHYS_SIZE_OFFSET, &le, sizeof(le));
}

/* Ordering point "phys-size": what the header says from the next write of it on. */
void qed_phys_size_note(struct qed *q, bool marked)
{
    struct qed_header *h = &q->header;
    if (qed_phys_size_in(q, QED_VALUE(QED_PHYS_SIZE_AUTOCLEAR_BIT))) {
        h->compat_features &= ~QED_COMPAT_PHYS_SIZE;
        h->autoclear_features |= QED_AUTOCLEAR_PHYS_SIZE;
        if (marked)
            h->autoclear_features &= ~QED_AUTOCLEAR_PHYS_SIZE;
        else
            h->features &= ~(uint64_t)QED_F_NEED_CHECK;
        q->phys_size = q->file_size;
        return;
    }
    h->features = marked ? h->features | QED_F_NEED_CHECK : h->features & ~(uint64_t)QED_F_NEED_CHECK;
    if (qed_phys_size_in(q, QED_VALUE(QED_PHYS_SIZE_HEADER_FIELD))) {
        h->compat_features |= QED_COMPAT_PHYS_SIZE;
        q->phys_size = q->file_size;
    }
}

/* Could this be an E at all? */
static bool plausible(const struct qed *q)
{
    return q->phys_size >= q->header.l1_table_offset + q->g.table_bytes && !(q->phys_size & (q->g.cluster_bytes - 1));
}

bool qed_phys_size_valid(const struct qed *q)
{
    const struct qed_header *h = &q->header;
    uint64_t values = 0;
    if (h->features & QED_F_NEED_CHECK || !plausible(q))
        return false;
    if (h->compat_features & QED_COMPAT_PHYS_SIZE)
        values |= QED_VALUE(QED_PHYS_SIZE_HEADER_FIELD);
    if (h->autoclear_features & QED_AUTOCLEAR_PHYS_SIZE)
        values |= QED_VALUE(QED_PHYS_SIZE_AUTOCLEAR_BIT);
    return values && qed_phys_size_in(q, values);
}

/* E as it was written when the mark was set. Under the autoclear bit nothing announces it then. */
static bool noted_with_mark(const struct qed *q)
{
    uint64_t values = QED_VALUE(QED_PHYS_SIZE_AUTOCLEAR_BIT);
    if (q->header.compat_features & QED_COMPAT_PHYS_SIZE)
        values |= QED_VALUE(QED_PHYS_SIZE_HEADER_FIELD);
    return plausible(q) && qed_phys_size_in(q, values);
}

/* Ordering point "size-check": on a device of fixed length, the length says nothing. */
int qed_phys_size_doubt(struct qed *q, bool marked, bool *doubt)
{
    uint64_t length;
    *doubt = marked;
    if (!q->file->ops->resize)
        return 0;
    if (marked ? !noted_with_mark(q) || !qed_design_is(q->design, QED_FIELD_size_check, QED_SIZE_CHECK_MARKED)
               : !qed_phys_size_valid(q) || !qed_design_is(q->design, QED_FIELD_size_check, QED_SIZE_CHECK_ALWAYS))
        return 0;
    int ret = q->file->ops->length(q->file, 1, &length);
    *doubt = length != q->phys_size;
    return ret;
}
