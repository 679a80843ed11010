/*
 * One function for each case that makes calling conventions hard. Compiled with -O2 -g, as kernels are; a test compares
 * where DWARF says that the arguments are at entry with what we say from BTF.
 *
 * Most bodies are empty: the convention does not look at them. "z" behind an argument shows how much room that took.
 */
#define KEEP __attribute__((noinline, noclone, used))
#define PACKED __attribute__((packed))
#define ALIGNED(bytes) __attribute__((aligned(bytes)))

struct nothing {};
struct b1 { char a; };
struct b2 { short a; };
struct b3 { char a[3]; };
struct b4 { int a; };
struct b5 { char a[5]; };
struct b7 { char a[7]; };
struct b8 { long a; };
struct b9 { char a[9]; };
struct b12 { int a, b, c; };
struct b15 { char a[15]; };
struct b16 { long a, b; };
struct b17 { char a[17]; };
struct b24 { long a, b, c; };
struct b32 { long a[4]; };
struct b64 { long a[8]; };
struct b100 { int a[25]; };
struct mixed { int a; short b; char c; };
struct nested { struct b4 a; struct { struct b2 b; } c; };
struct with_nothing { struct nothing n; long a; };
struct no_elements { long a; int b[0]; };
struct flexible { long a; char b[]; };
struct wide { __int128 a; };
struct wide_and_more { __int128 a; long b; };
union word { int i; void *p; char c[3]; };
union two_words { long a[2]; int i; char c; };
union wide_word { __int128 w; char c; };
struct bits { unsigned a : 3, b : 20; unsigned long c : 40; };
struct bits_across { unsigned long a : 60, b : 10; };
struct bits_zero { int a : 3; int : 0; int b : 4; };
struct bits_unnamed { long a; long : 64; };
struct bits_only_unnamed { int : 32; };
struct bits_wide { __int128 a : 100; };
struct crooked { char a; long b; } PACKED;
struct crooked_small { char a; int b; } PACKED;
struct packed_straight { long a; int b; } PACKED;
struct packed_wide { __int128 a; } PACKED;
struct bits_crooked { unsigned a : 5; unsigned long b : 59; char c; } PACKED;
struct aligned_16 { long a; } ALIGNED(16);
struct aligned_16_full { long a, b; } ALIGNED(16);
struct aligned_32 { long a[4]; } ALIGNED(32);
struct aligned_64 { long a; } ALIGNED(64);
struct aligned_member { long a ALIGNED(16); long b; };
struct aligned_2 { char a[16]; } ALIGNED(2);
typedef long aligned_long ALIGNED(16);
typedef struct b16 aligned_name ALIGNED(16);
struct of_aligned { aligned_long a; long b; };
enum plain { PLAIN };
enum tiny { TINY } PACKED;
enum huge { HUGE_ONE = 1ul << 40 };
typedef int (*callback)(const char *, ...);
struct declared_only;

#define F(name, ...) KEEP void name(__VA_ARGS__) {}
#define R(type, name, ...) type result_##name; KEEP type name(__VA_ARGS__) { return result_##name; }

/* Integers: narrow ones, those of a register, those of two. */
F(narrow, _Bool a, char b, signed char c, unsigned char d, short e, unsigned short f)
F(narrow_on_stack, long a, long b, long c, long d, long e, long f, long g, long h, _Bool i, char j, short k, int l, _Bool m)
F(pointers, int *a, const char *restrict b, callback c, char d[10], struct declared_only *e, void *volatile f)
F(enums, enum plain a, enum tiny b, enum huge c, enum plain z)
F(aligned_scalar, int a, aligned_long b, int z)
F(wide_second, int a, __int128 b, int z)
F(wide_third, int a, int b, unsigned __int128 c, int z)
F(wide_pair, __int128 a, __int128 b, int z)
F(wide_last_of_six, int a, int b, int c, int d, int e, __int128 f, int z)
F(wide_last_of_eight, int a, int b, int c, int d, int e, int f, int g, __int128 h, int z)
F(wide_on_stack, long a, long b, long c, long d, long e, long f, long g, long h, __int128 i, int z)
F(wide_on_stack_odd, long a, long b, long c, long d, long e, long f, long g, long h, long i, __int128 j, int z)

/* Aggregates of every size, in registers and when these run out. */
F(sizes_1, struct b1 a, struct b2 b, struct b3 c, struct b4 d, int z)
F(sizes_2, struct b5 a, struct b7 b, struct b8 c, int z)
F(size_9, int a, struct b9 b, int z)
F(size_12, int a, struct b12 b, int z)
F(size_15, int a, struct b15 b, int z)
F(size_16, int a, struct b16 b, int z)
F(size_17, int a, struct b17 b, int z)
F(size_24, int a, struct b24 b, int z)
F(size_100, int a, struct b100 b, int z)
F(size_24_first, struct b24 a, struct b16 b, int z)
F(two_sixteens, struct b16 a, struct b16 b, int z)
F(mixed_and_nested, struct mixed a, struct nested b, struct with_nothing c, int z)
F(all_or_nothing, int a, int b, int c, int d, int e, struct b16 f, int g, int z)
F(seventh_register, int a, int b, int c, int d, int e, int f, int g, struct b16 h, int z)
F(many_sixteens, struct b16 a, struct b16 b, struct b16 c, struct b16 d, struct b16 e, int z)
F(large_when_full, long a, long b, long c, long d, long e, long f, long g, long h, struct b24 i, struct b3 j, int z)
F(thirds_on_stack, long a, long b, long c, long d, long e, long f, long g, long h, struct b3 i, struct b12 j, struct b1 z)
F(sixty_four, int a, struct b64 b, int z)
F(empty_between, int a, struct nothing b, int z)
F(empty_on_stack, long a, long b, long c, long d, long e, long f, long g, long h, struct nothing i, int z)
F(tails, int a, struct no_elements b, struct flexible c, int z)
F(unions, int a, union word b, union two_words c, int z)
F(wide_inside, int a, struct wide b, int z)
F(wide_inside_union, int a, union wide_word b, int z)
F(wide_inside_large, int a, struct wide_and_more b, int z)

/* Bit-fields, packed and aligned aggregates. */
F(bit_fields, int a, struct bits b, struct bits_across c, struct bits_zero d, int z)
F(bit_fields_unnamed, int a, struct bits_unnamed b, int z)
F(bit_fields_only_unnamed, int a, struct bits_only_unnamed b, int z)
F(bit_fields_wide, int a, struct bits_wide b, int z)
F(bit_fields_crooked, int a, struct bits_crooked b, int z)
F(packed_crooked, int a, struct crooked b, int z)
F(packed_crooked_small, int a, struct crooked_small b, int z)
F(packed_but_straight, int a, struct packed_straight b, int z)
F(packed_and_wide, int a, struct packed_wide b, int z)
F(packed_on_stack, long a, long b, long c, long d, long e, long f, long g, long h, long i, struct packed_wide j, int z)
F(aligned_half_empty, int a, struct aligned_16 b, int z)
F(aligned_sixteen, int a, struct aligned_16_full b, int z)
F(aligned_even, int a, int b, struct aligned_16_full c, int z)
F(aligned_thirty_two, int a, struct aligned_32 b, int z)
F(aligned_sixty_four, int a, struct aligned_64 b, int z)
F(aligned_by_member, int a, struct aligned_member b, int z)
F(aligned_by_typedef, int a, aligned_name b, int z)
F(aligned_inside, int a, struct of_aligned b, int z)
F(aligned_less, int a, struct aligned_2 b, int z)
F(aligned_on_stack, long a, long b, long c, long d, long e, long f, long g, long h, long i, struct aligned_16_full j, int z)
F(aligned_after_large, struct b24 a, struct aligned_32 b, struct b24 c, struct aligned_64 d, struct b24 e, int z)
F(plain_on_stack_odd, long a, long b, long c, long d, long e, long f, long g, long h, long i, struct b16 j, int z)

/* Variable arguments: the named ones. */
F(variable, const char *a, ...)
F(variable_after_wide, int a, __int128 b, ...)
F(variable_on_stack, long a, long b, long c, long d, long e, long f, long g, long h, struct b16 i, int z, ...)

/* Results: in registers, or in memory that the caller names in a register of an argument or in one of its own. */
R(_Bool, returns_bool, int a)
R(__int128, returns_wide, int a)
R(struct b3, returns_3, int a)
R(struct b12, returns_12, int a)
R(struct b16, returns_16, int a)
R(struct b17, returns_17, int a, struct b16 b)
R(struct b100, returns_100, long a, long b, long c, long d, long e, long f, long g, long h)
R(struct crooked, returns_crooked, int a)
R(struct nothing, returns_nothing, int a)
R(struct aligned_16, returns_half_empty, int a)
R(union two_words, returns_union, int a)

/* A definition of the old style: arguments come promoted. */
KEEP int old_style(a, b, c) char a; short b; long c; { return a + b + c; }

/* What compilers do to functions that nobody else can call. */
extern int use(const void *);
extern int sink[];

__attribute__((noinline)) static int loses_an_argument(int unused, int a, long b)
{
	return use((void *)b) + a;
}

__attribute__((noinline)) static int takes_the_value(int a, const struct b100 *b)
{
	return use(0) + a + b->a[3];
}

__attribute__((noinline)) static int always_seven(int seven, int a)
{
	for (int i = 0; i < a; i++)
		sink[i] = seven * use(sink + i);
	return a / seven;
}

__attribute__((noinline)) static int ignored_result(int a, int unused, int b)
{
	sink[a] = b;
	return use(sink) * 3;
}

KEEP int caller_of_clones(int a, long b, const struct b100 *c)
{
	ignored_result(a, 5, a);
	return loses_an_argument(1, a, b) + takes_the_value(a, c) + always_seven(7, a);
}

KEEP int second_caller_of_clones(int a, long b, const struct b100 *c)
{
	return loses_an_argument(2, a + 1, b + 1) + takes_the_value(a + 2, c + 1) + always_seven(7, a + 9);
}

static int mostly_early(const int *table, int a)
{
	if (__builtin_expect(!table, 1))
		return a;
	for (int i = 0; i < a; i++)
		a += use(table + i) * sink[a];
	use("a long way"); use("and longer"); use("and longer"); use("and longer"); use("and longer");
	return a;
}

KEEP int first_caller_of_part(const int *table, int a) { return mostly_early(table, a) + 1; }
KEEP int second_caller_of_part(const int *table, int a) { return mostly_early(table, a + 2) * 2; }
KEEP int third_caller_of_part(const int *table, int a) { return mostly_early(table + 1, a) * 3; }

KEEP int has_a_cold_part(int a)
{
	if (__builtin_expect(a == 17, 0)) {
		use("unlikely"); use("more");
		__builtin_trap();
	}
	return use(sink + a) + 1;
}

/* The same body twice: the compiler may keep one. */
KEEP int folded_one(int *a) { return use(a) + 12; }
KEEP int folded_two(const char *a) { return use(a) + 12; }

/* Of the same name in the other file, with another prototype. */
__attribute__((noinline, noclone)) static int twin(int a, struct b16 b, int z) { return use(&a) + b.a + z; }
KEEP int caller_of_twin(int a) { return twin(a, (struct b16){ a, a }, 3); }

/* Inlined here, a function of its own in the other file, with another prototype. */
__attribute__((always_inline)) static inline int hidden_twin(struct b16 a, int z) { return use(&a) + z; }
KEEP int caller_of_hidden_twin(int a) { return hidden_twin((struct b16){ a, 1 }, a); }

#ifdef FLOATS
struct f2 { float a, b; };
struct f4 { double a, b, c, d; };
struct f_mixed { double a; long b; };
struct f_union { union { float f; int i; } a; };
F(floating, int a, double b, int z)
F(homogeneous, int a, struct f2 b, int z)
F(homogeneous_large, int a, struct f4 b, int z)
F(floating_mixed, int a, struct f_mixed b, int z)
F(floating_union, int a, struct f_union b, int z)
R(double, returns_floating, int a)
R(struct f4, returns_homogeneous, int a)
#endif
