/* IssueToken without a database, for Spin (https://spinroot.com).
 *
 * One request, made twice at once over two brokers, and again whenever an answer
 * is lost; and a request of somebody else whose first token id is the same. What
 * is checked: a request has one Secret, every answer to it names that one, and
 * nobody is given another's (invariant 4).
 *
 * Each WITHOUT_... takes one guard out, and then the check must fail:
 * tests/model_test.sh.
 */

#ifndef LOST_ANSWERS
#define LOST_ANSWERS 3
#endif

#define NOBODY 0
#define MINE   1
#define YOURS  2

/* The id of each probe: the first is the same for both. */
#define ID(request, probe) (probe == 0 -> 0 : request + 2 * (probe - 1))

byte owner[8];       /* of the Secret with this id: request_key */
byte answer[3] = 7;  /* the id that a request was answered with */
byte secrets[3];     /* that a request has */
byte lost = LOST_ANSWERS;
#ifdef WITHOUT_DERIVED_ID
byte drawn = 0;
#endif

/* TokenBroker::InsertOrReplay, for a caller who asks until it hears. */
proctype Call(byte request) {
  byte probe, id, found;
  bool unknown;

start:
#ifdef WITHOUT_DERIVED_ID
  atomic { probe = drawn; drawn++ }
#else
  probe = 0;
#endif
create:
  id = ID(request, probe);
  unknown = false;
  atomic {
    if
    :: owner[id] == NOBODY ->
       owner[id] = request;
       secrets[request]++;
       assert(secrets[request] == 1);
       if
       :: goto answered
       :: lost > 0 -> lost--; unknown = true
       fi
    :: owner[id] == NOBODY && lost > 0 -> lost--; unknown = true  /* not even done */
    :: else
    fi
  }
#ifdef WITHOUT_SETTLING
  if
  :: unknown -> probe++; goto create
  :: else
  fi;
#endif
#ifdef WITHOUT_COMPARISON
  if
  :: !unknown -> goto answered
  :: else
  fi;
#endif
  found = owner[id];
  if
  :: found == request
  :: found == NOBODY -> goto create
  :: else -> probe++; goto create
  fi;
answered:
  assert(owner[id] == request);
  /* The caller's own answer may be lost too. */
  if
  :: true
  :: atomic { lost > 0 -> lost-- } goto start
  fi;
  atomic {
    assert(answer[request] == 7 || answer[request] == id);
    answer[request] = id
  }
}

init {
  atomic {
    run Call(MINE);
    run Call(MINE);
    run Call(YOURS)
  }
}
