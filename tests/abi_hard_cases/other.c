/* The other file of a program: functions that share a name with one in cases.c and nothing else. */
#define KEEP __attribute__((noinline, noclone, used))

extern int use(const void *);

__attribute__((noinline, noclone)) static int twin(const char *a) { return use(a); }
KEEP int caller_of_other_twin(const char *a) { return twin(a) + 1; }

__attribute__((noinline, noclone)) static int hidden_twin(const char *a, int b, long z) { return use(a) + b + z; }
KEEP int caller_of_other_hidden_twin(const char *a) { return hidden_twin(a, 1, 2); }
