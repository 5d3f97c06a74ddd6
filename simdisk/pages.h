/* pages.h: a sparse byte store of 4 KiB pages, shared copy-on-write between its snapshots.
 *
 * A page that was never written, or written with zeros only, is the one zero page and costs nothing; a snapshot costs
 * its page table; a write to a shared page copies that page. Not thread-safe: snapshots shared between threads must be
 * made before the threads start and only read afterwards.
 */
#ifndef SIMDISK_PAGES_H
#define SIMDISK_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_PAGE_BYTES   4096u
#define SIM_PAGE_SECTORS 8u

struct sim_pages;

struct sim_pages *sim_pages_create(void);
struct sim_pages *sim_pages_snapshot(const struct sim_pages *pages);
void sim_pages_destroy(struct sim_pages *pages);
void sim_pages_read(const struct sim_pages *pages, uint64_t offset, void *buf, size_t length);
void sim_pages_write(struct sim_pages *pages, uint64_t offset, const void *buf, size_t length);
/* Zeros from offset to the end. */
void sim_pages_cut(struct sim_pages *pages, uint64_t offset);
/* First offset >= offset that may hold a non-zero byte, or end. Page granularity. */
uint64_t sim_pages_next_data(const struct sim_pages *pages, uint64_t offset, uint64_t end);
/* The page's 4096 bytes (the zero page if none); valid until the next write to it. */
const uint8_t *sim_pages_at(const struct sim_pages *pages, uint64_t page_index);
/* One past the last page that is not the zero page. */
uint64_t sim_pages_count(const struct sim_pages *pages);

#endif
