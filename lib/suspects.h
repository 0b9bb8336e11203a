/* SPDX-License-Identifier: Apache-2.0 */
/* Which messages brought a queue down: those that had been begun and have not finished. What says so is in host memory,
 * the lanes and the backend's own notes, for a device that has faulted cannot be asked. */
#ifndef GQ_SUSPECTS_H
#define GQ_SUSPECTS_H
#include "lane.h"

#define GQ_MOST_SUSPECTS 4096u

typedef struct gq_suspects {
  uint64_t ids[GQ_MOST_SUSPECTS];
  uint64_t count; /* of all, also of those that ids has no room for */
} gq_suspects;

/** Whether one of the \p length messages from \p id on was enqueued and has not finished. */
bool gq_any_unfinished(const gq_lane *lanes, uint32_t lane_count, uint64_t id, uint64_t length);

/** Add those of the \p length messages from \p id on that have not finished. \return whether there was one. */
bool gq_suspect(gq_suspects *suspects, const gq_lane *lanes, uint32_t lane_count, uint64_t id, uint64_t length);

/** Add every message that has not finished: for when nothing says which had been begun. */
void gq_suspect_all(gq_suspects *suspects, const gq_lane *lanes, uint32_t lane_count);

/** The first few as text: "message 0x1", "messages 0x1, 0x2 and 30 more"; "no message" if there is none. */
void gq_suspects_say(const gq_suspects *suspects, char *text, size_t size);

/** With what a worker or warp was last seen, and since when. Whoever runs messages notes no times for this: it is the
 * waiting threads that look, now and then, so that nothing of it is on the way of a message. */
typedef struct gq_sighting {
  uint64_t id, since; /* ns of gq_now() */
} gq_sighting;

/** It is seen with message \p id at \p now; 0: it runs none. \return for how many ns it has been, as far as was seen. */
static inline uint64_t gq_sight(gq_sighting *sighting, uint64_t id, uint64_t now)
{
  if (id != sighting->id || id == 0) sighting->id = id, sighting->since = now;
  return now > sighting->since ? now - sighting->since : 0;
}

#endif
