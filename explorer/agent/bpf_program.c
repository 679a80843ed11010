/* The one program of the bpf engine: compiled once, attached to every probe.
 *
 * Which probe it runs for is told by the attachment's cookie; what to read, which hits to let pass and what to do with
 * them stands in the map "settings". The sizes in capitals are given by bpf_layout.py when this is compiled.
 */

enum { REGISTER, STACK };
enum { NUMBER, TEXT };

struct fetch {
    u8 source;    /* REGISTER or STACK */
    u8 kind;      /* NUMBER or TEXT */
    u8 size;      /* of a number, in bytes */
    u8 steps;     /* how many offsets are followed */
    u32 place;    /* which register, as a word of pt_regs, or which word of the stack */
    s32 offsets[MOST_STEPS];
};

enum { ACCEPT = 255, REJECT = 254 };
enum { LOAD_VALUE, LOAD_WORD, LOAD_CONSTANT, KEEP, AND, OR, XOR, ADD, SUBTRACT, MULTIPLY, SHIFT_LEFT, SHIFT_RIGHT,
       SHIFT_RIGHT_SIGNED, EQUAL, LESS, LESS_SIGNED, SET_BITS };
enum { TID, PID, CPU, COMM_BEGIN, COMM_END };

struct operation {
    u8 code;
    u8 argument;  /* which value, word or kept number */
    u8 kept;      /* whether the right side is a kept number, not the constant */
    u8 then;      /* next operation of a comparison that holds */
    u8 otherwise; /* of one that does not */
    u8 unknown;   /* of a value that could not be read */
    u8 shift;     /* LOAD_VALUE: by how many bits the value is moved up and down again */
    u8 is_signed; /* LOAD_VALUE: whether down is with its sign */
    u64 constant;
};

enum { ROWS = 1, REGISTERS = 2, KERNEL_STACK = 4, USER_STACK = 8, CALL_BEGINS = 16, CALL_ENDS = 32, CELLS = 64 };
enum { BY_NOTHING, BY_COMM, BY_PID, BY_TID, BY_CPU, BY_VALUE };
enum { OF_NOTHING, OF_VALUE, OF_LATENCY };

struct setting {
    u32 flags;
    u16 fetches;
    u16 operations;
    u8 by;
    u8 by_value;     /* BY_VALUE: which, and how to move it, as for LOAD_VALUE */
    u8 by_shift;
    u8 by_signed;
    u8 of;
    u8 of_value;
    u8 of_shift;
    u8 of_signed;
    u32 call;        /* of both probes of a call */
    u32 popped;      /* how much higher the stack pointer is at the return */
    struct fetch fetch[MOST_FETCHES];
    struct operation operation[MOST_OPERATIONS];
};

struct count {
    u64 hits;
    u64 filtered;
    u64 lost;
    u64 unpaired;         /* returns without an entry */
};

struct cell {
    u32 probe;
    u32 step;             /* in which the measured number falls, see step_of */
    u64 key[2];
    u64 kind;             /* 0; 1: the number is negative; 2: it could not be read; 4: the key could not be read */
};

struct sum {
    u64 count;
    u64 total;
};

struct call {
    u64 stack_pointer;
    u32 call;
    u32 tid;
};

struct begun {
    u64 time;
    u64 key[2];
    u64 kind;
};

struct configuration {
    u64 own_process;
    u64 focused;          /* whether only the processes of the map "focus" count */
    u64 preempt_count;    /* where the processor's lies, as a distance for per_cpu_offsets */
    u64 per_cpu_offsets;  /* address of __per_cpu_offset; 0: the context is not known */
};

struct head {
    u64 time;
    u64 faults;           /* a bit for each value that could not be read */
    u32 probe;
    u32 tid;
    u32 pid;
    u32 preempt_count;
    u16 cpu;
    u16 kernel_depth;     /* addresses of the kernel's stack, then of the user's, at the end */
    u16 user_depth;
    u16 reserved;
    char comm[16];
};

struct scratch {
    struct head head;
    u8 data[RECORD_SIZE - sizeof(struct head)];
    u64 registers[64];
    u64 kept[8];
    volatile u64 left, value;
    volatile s64 error;
    volatile u32 next, at;
    struct cell cell;
    struct call call;
    struct begun begun;
};

BPF_F_TABLE("hash", u32, struct setting, settings, MOST_PROBES, BPF_F_NO_PREALLOC);
BPF_PERCPU_ARRAY(counts, struct count, MOST_PROBES);
BPF_ARRAY(configuration, struct configuration, 1);
BPF_F_TABLE("hash", u32, u8, focus, 16384, BPF_F_NO_PREALLOC);
BPF_PERCPU_ARRAY(scratches, struct scratch, 1);
BPF_HASH(cells, struct cell, struct sum, MOST_CELLS);
BPF_HASH(calls, struct call, struct begun, MOST_CALLS);
BPF_RINGBUF_OUTPUT(events, RING_PAGES);

static u64 (*get_cookie)(void *) = (void *)174; /* BPF_FUNC_get_attach_cookie, since 5.15 */

static inline long read_memory(void *to, u32 size, u64 from) {
    /* Kernel addresses have the highest bit set. */
    return (s64)from < 0 ? bpf_probe_read_kernel(to, size, (void *)from) : bpf_probe_read_user(to, size, (void *)from);
}

static inline long read_number(u64 *to, u32 size, u64 from) {
    u8 one = 0; u16 two = 0; u32 four = 0; u64 eight = 0;
    long error;
    switch (size) {
    case 1: error = read_memory(&one, 1, from); *to = one; break;
    case 2: error = read_memory(&two, 2, from); *to = two; break;
    case 4: error = read_memory(&four, 4, from); *to = four; break;
    default: error = read_memory(&eight, 8, from); *to = eight;
    }
    return error;
}

/* What changes from step to step lies in the map and not in registers: there the verifier does not follow its values, and
 * so does not look at every combination of them. */

static inline bool passes(struct setting *setting, struct scratch *s) {
    if (!setting->operations)
        return true;
    s->next = 0;
    for (u32 step = 0; step < MOST_OPERATIONS; step++) {
        u32 next = s->next;
        if (next >= setting->operations)
            return next == ACCEPT;
        struct operation *operation = &setting->operation[next & (MOST_OPERATIONS - 1)];
        u64 left = s->left, argument = operation->argument;
        u64 right = operation->kept ? s->kept[argument & 7] : operation->constant;
        bool holds;
        next++;
        switch (operation->code) {
        case LOAD_VALUE:
            if (argument >= MOST_FETCHES || s->head.faults & (1ull << argument)) {
                next = operation->unknown;
                break;
            }
            left = ((u64 *)s->data)[argument] << (operation->shift & 63);
            left = operation->is_signed ? (u64)((s64)left >> (operation->shift & 63)) : left >> (operation->shift & 63);
            break;
        case LOAD_WORD:
            if (argument == TID) left = s->head.tid;
            else if (argument == PID) left = s->head.pid;
            else if (argument == CPU) left = s->head.cpu;
            else if (argument == COMM_BEGIN) left = *(u64 *)s->head.comm;
            else left = *(u64 *)(s->head.comm + 8);
            break;
        case LOAD_CONSTANT: left = operation->constant; break;
        case KEEP: s->kept[argument & 7] = left; break;
        case AND: left &= right; break;
        case OR: left |= right; break;
        case XOR: left ^= right; break;
        case ADD: left += right; break;
        case SUBTRACT: left -= right; break;
        case MULTIPLY: left *= right; break;
        case SHIFT_LEFT: left <<= right & 63; break;
        case SHIFT_RIGHT: left >>= right & 63; break;
        case SHIFT_RIGHT_SIGNED: left = (u64)((s64)left >> (right & 63)); break;
        default:
            if (operation->code == EQUAL) holds = left == right;
            else if (operation->code == LESS) holds = left < right;
            else if (operation->code == LESS_SIGNED) holds = (s64)left < (s64)right;
            else holds = (left & right) != 0;
            next = holds ? operation->then : operation->otherwise;
        }
        s->left = left;
        s->next = next;
    }
    return false;
}

static inline void take(struct scratch *s, struct fetch *fetch, u32 number) {
    s->value = s->registers[fetch->place & 63];
    s->error = 0;
    if (fetch->source == STACK)
        s->error = read_number((u64 *)&s->value, fetch->steps ? 8 : fetch->size,
                               s->registers[STACK_POINTER] + 8 * (u64)fetch->place);
    for (u32 step = 0; step < MOST_STEPS - 1; step++) {
        if (s->error || step + 1 >= fetch->steps)
            break;
        s->error = read_number((u64 *)&s->value, 8, s->value + fetch->offsets[step]);
    }
    if (!s->error && fetch->steps) {
        u64 from = s->value + fetch->offsets[(fetch->steps - 1) & (MOST_STEPS - 1)];
        if (fetch->kind == NUMBER) {
            s->error = read_number((u64 *)&s->value, fetch->size, from);
        } else {
            u32 at = s->at & (DATA_SIZE - 1);
            long length = (s64)from < 0 ? bpf_probe_read_kernel_str(&s->data[at], LONGEST_TEXT, (void *)from)
                                        : bpf_probe_read_user_str(&s->data[at], LONGEST_TEXT, (void *)from);
            if (length > 0) {
                s->value = at | (u64)length << 32;
                s->at = at + length;
            } else {
                s->error = 1;
            }
        }
    }
    if (s->error) {
        s->head.faults |= 1ull << number;
        s->value = 0;
    }
    ((u64 *)s->data)[number] = s->value;
}

static inline void take_stack(struct pt_regs *ctx, struct scratch *s, u16 *depth, u64 flags) {
    u32 at = s->at & (DATA_SIZE - 8);
    long size = bpf_get_stack(ctx, &s->data[at], STACK_SIZE, flags);
    if (size > 0) {
        *depth = size / 8;
        s->at = at + size;
    }
}

static inline u64 moved(struct scratch *s, u32 number, u32 shift, u32 is_signed) {
    u64 value = ((u64 *)s->data)[number & 31] << (shift & 63);
    return is_signed ? (u64)((s64)value >> (shift & 63)) : value >> (shift & 63);
}

/* Each power of two is divided into 64 steps; below 128 every number has its own. */
static inline u32 step_of(u64 number) {
    u64 left = number;
    u32 shift = 0;
    for (u32 by = 32; by; by >>= 1) {
        if (left >> by >= 64) {
            left >>= by;
            shift += by;
        }
    }
    if (left >= 128) {
        left >>= 1;
        shift++;
    }
    return (shift << 6) + left;
}

static inline void key_of(struct setting *setting, struct scratch *s) {
    s->cell.key[0] = s->cell.key[1] = s->cell.kind = 0;
    switch (setting->by) {
    case BY_COMM:
        s->cell.key[0] = *(u64 *)s->head.comm;
        s->cell.key[1] = *(u64 *)(s->head.comm + 8);
        break;
    case BY_PID: s->cell.key[0] = s->head.pid; break;
    case BY_TID: s->cell.key[0] = s->head.tid; break;
    case BY_CPU: s->cell.key[0] = s->head.cpu; break;
    case BY_VALUE:
        if (s->head.faults & (1ull << (setting->by_value & 63)))
            s->cell.kind = 4;
        else
            s->cell.key[0] = moved(s, setting->by_value, setting->by_shift, setting->by_signed);
    }
}

static inline void add(struct scratch *s, struct count *count, u64 number) {
    struct sum first = {1, number}, *sum = cells.lookup(&s->cell);
    if (!sum) {
        if (!cells.insert(&s->cell, &first))
            return;
        sum = cells.lookup(&s->cell); /* another processor was first, or there is no room */
    }
    if (!sum) {
        count->lost++;
        return;
    }
    __sync_fetch_and_add(&sum->count, 1);
    __sync_fetch_and_add(&sum->total, number);
}

/* A hit that makes no record: it begins or ends a call, or is counted among others of its kind. */
static inline void aggregate(struct setting *setting, struct scratch *s, struct count *count) {
    u64 number = 0;
    s->call.stack_pointer = s->registers[STACK_POINTER] - setting->popped;
    s->call.call = setting->call;
    s->call.tid = s->head.tid;
    if (setting->flags & CALL_ENDS) {
        struct begun *begun = calls.lookup(&s->call);
        if (!begun) {
            count->unpaired++;
            return;
        }
        number = s->head.time - begun->time;
        s->cell.key[0] = begun->key[0];
        s->cell.key[1] = begun->key[1];
        s->cell.kind = begun->kind;
        calls.delete(&s->call);
    } else {
        key_of(setting, s);
    }
    if (setting->flags & CALL_BEGINS) {
        s->begun.time = s->head.time;
        s->begun.key[0] = s->cell.key[0];
        s->begun.key[1] = s->cell.key[1];
        s->begun.kind = s->cell.kind;
        if (calls.update(&s->call, &s->begun))
            count->lost++;
        return;
    }
    if (!(setting->flags & CELLS))
        return;
    if (setting->of == OF_VALUE) {
        if (s->head.faults & (1ull << (setting->of_value & 63))) {
            s->cell.kind |= 2;
        } else {
            number = moved(s, setting->of_value, setting->of_shift, setting->of_signed);
            if (setting->of_signed && (s64)number < 0) {
                s->cell.kind |= 1;
                number = -number;
            }
        }
    }
    s->cell.probe = s->head.probe;
    s->cell.step = step_of(number);
    add(s, count, number);
}

/* sched_process_fork: a child of a process in the focus is in the focus. */
int born(void *ctx) {
    u32 parent = bpf_get_current_pid_tgid() >> 32, child = 0;
    u8 focused = 1;
    if (!focus.lookup(&parent))
        return 0;
    bpf_probe_read_kernel(&child, sizeof(child), ctx + CHILD_PID_AT);
    focus.update(&child, &focused);
    return 0;
}

/* sched_process_exit: its number can become another's. */
int gone(void *ctx) {
    u32 thread = bpf_get_current_pid_tgid();
    focus.delete(&thread);
    return 0;
}

int probe(struct pt_regs *ctx) {
    u32 zero = 0, number = get_cookie(ctx);
    struct setting *setting = settings.lookup(&number);
    struct count *count = counts.lookup(&number);
    struct configuration *configured = configuration.lookup(&zero);
    struct scratch *s = scratches.lookup(&zero);
    if (!setting || !count || !configured || !s)
        return 0;
    count->hits++;
    u64 both = bpf_get_current_pid_tgid();
    u32 pid = both >> 32;
    if (pid == configured->own_process || (configured->focused && !focus.lookup(&pid))) {
        count->filtered++;
        return 0;
    }
    s->head.time = bpf_ktime_get_ns();
    s->head.faults = 0;
    s->head.probe = number;
    s->head.tid = both;
    s->head.pid = pid;
    s->head.cpu = bpf_get_smp_processor_id();
    bpf_get_current_comm(s->head.comm, sizeof(s->head.comm));
    bpf_probe_read_kernel(s->registers, REGISTER_COUNT * 8, ctx);

    u32 registers_begin = (setting->fetches * 8) & (DATA_SIZE - 1);
    s->at = registers_begin + (setting->flags & REGISTERS ? REGISTER_COUNT * 8 : 0);
    for (u32 i = 0; i < MOST_FETCHES; i++) {
        if (i >= setting->fetches)
            break;
        take(s, &setting->fetch[i], i);
    }
    if (!passes(setting, s)) {
        count->filtered++;
        return 0;
    }
    if (!(setting->flags & ROWS)) {
        aggregate(setting, s, count);
        return 0;
    }
    if (setting->flags & REGISTERS)
        bpf_probe_read_kernel(&s->data[registers_begin], REGISTER_COUNT * 8, ctx);
    s->head.preempt_count = 0;
    if (configured->per_cpu_offsets) {
        u64 base = 0;
        bpf_probe_read_kernel(&base, 8, (void *)(configured->per_cpu_offsets + 8 * (u64)s->head.cpu));
        bpf_probe_read_kernel(&s->head.preempt_count, 4, (void *)(configured->preempt_count + base));
    }
    s->head.kernel_depth = s->head.user_depth = 0;
    s->at = (s->at + 7) & ~7;
    if (setting->flags & KERNEL_STACK)
        take_stack(ctx, s, &s->head.kernel_depth, 0);
    if (setting->flags & USER_STACK)
        take_stack(ctx, s, &s->head.user_depth, BPF_F_USER_STACK);
    u32 size = (sizeof(struct head) + s->at) & (RECORD_SIZE - 1);
    if (events.ringbuf_output(s, size, 0))
        count->lost++;
    return 0;
}
