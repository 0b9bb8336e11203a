/* SPDX-License-Identifier: Apache-2.0 */
#include "records.h"

#include "cli.h"
#include "run.h"
#include "stop.h"
#include "timing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/** A ring in the order of the numbers; records in the middle may be gone. */
struct records {
  pthread_mutex_t lock;
  pthread_cond_t room;
  size_t capacity, first, count;
  struct record ring[];
};

struct records *records_new(size_t capacity)
{
  struct records *records = allocate(sizeof *records + capacity * sizeof *records->ring);

  pthread_mutex_init(&records->lock, NULL);
  condition_init(&records->room);
  records->capacity = capacity;
  records->first = records->count = 0;
  return records;
}

static struct record *at(struct records *records, size_t index)
{
  return &records->ring[(records->first + index) % records->capacity];
}

void records_free(struct records *records)
{
  size_t i;

  if (!records) return;
  for (i = 0; i < records->count; i++) free(at(records, i)->name);
  pthread_cond_destroy(&records->room);
  pthread_mutex_destroy(&records->lock);
  free(records);
}

bool records_full(struct records *records)
{
  bool full;

  pthread_mutex_lock(&records->lock);
  full = records->count == records->capacity;
  pthread_mutex_unlock(&records->lock);
  return full;
}

bool records_add(struct records *records, uint64_t number, const char *name)
{
  struct record *record;
  char *copy = NULL;

  if (name) {
    copy = allocate(strlen(name) + 1);
    strcpy(copy, name);
  }
  pthread_mutex_lock(&records->lock);
  while (records->count == records->capacity && !stop_requested())
    condition_wait(&records->room, &records->lock, WAIT_SLICE_NS);
  if (records->count == records->capacity) {
    pthread_mutex_unlock(&records->lock);
    free(copy);
    return false;
  }
  record = at(records, records->count++);
  record->number = number;
  record->name = copy;
  record->gone = false;
  pthread_mutex_unlock(&records->lock);
  return true;
}

/** Where the record of \p number is, or would be. */
static size_t search(struct records *records, uint64_t number)
{
  size_t low = 0, high = records->count;

  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (at(records, middle)->number < number) low = middle + 1;
    else high = middle;
  }
  return low;
}

bool records_take(struct records *records, uint64_t number, struct record *record)
{
  bool found = false;
  size_t index;

  pthread_mutex_lock(&records->lock);
  index = number ? search(records, number) : 0;
  if (index < records->count && (!number || at(records, index)->number == number) && !at(records, index)->gone) {
    *record = *at(records, index);
    at(records, index)->gone = true;
    at(records, index)->name = NULL;
    found = true;
  }
  while (records->count > 0 && at(records, 0)->gone) {
    records->first = (records->first + 1) % records->capacity;
    records->count--;
  }
  pthread_cond_signal(&records->room);
  pthread_mutex_unlock(&records->lock);
  return found;
}
