// Message send for the System V calling convention: finds the method of a receiver's class and jumps to it with all
// argument registers as they came, so that any signature works. A miss of the class's cache calls the runtime; its
// exceptions (an unknown selector) unwind through here, hence the call frame information.

#if !defined(__x86_64__)
#error "metalsim's Objective-C runtime sends messages on x86-64 only"
#endif

    .text

// The cache of the class in %r10 is asked for the selector. Leaves the entry in %r11, or goes to `miss`. Only the first
// place is looked at; a method that had to move on is found by the runtime. %rax is an argument (of variadic methods).
.macro LOOK_UP selector, miss
    movq 16(%r10), %r10
    movq \selector, %r11
    shrq $4, %r11
    andq (%r10), %r11
    shlq $4, %r11
    addq %r10, %r11
    cmpq \selector, 16(%r11)
    jne \miss
.endm

.macro SAVE_ARGUMENTS
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    subq $192, %rsp
    movq %rdi, -8(%rbp)
    movq %rsi, -16(%rbp)
    movq %rdx, -24(%rbp)
    movq %rcx, -32(%rbp)
    movq %r8, -40(%rbp)
    movq %r9, -48(%rbp)
    movq %rax, -56(%rbp)
    movaps %xmm0, -80(%rbp)
    movaps %xmm1, -96(%rbp)
    movaps %xmm2, -112(%rbp)
    movaps %xmm3, -128(%rbp)
    movaps %xmm4, -144(%rbp)
    movaps %xmm5, -160(%rbp)
    movaps %xmm6, -176(%rbp)
    movaps %xmm7, -192(%rbp)
.endm

.macro RESTORE_ARGUMENTS
    movq -8(%rbp), %rdi
    movq -16(%rbp), %rsi
    movq -24(%rbp), %rdx
    movq -32(%rbp), %rcx
    movq -40(%rbp), %r8
    movq -48(%rbp), %r9
    movq -56(%rbp), %rax
    movaps -80(%rbp), %xmm0
    movaps -96(%rbp), %xmm1
    movaps -112(%rbp), %xmm2
    movaps -128(%rbp), %xmm3
    movaps -144(%rbp), %xmm4
    movaps -160(%rbp), %xmm5
    movaps -176(%rbp), %xmm6
    movaps -192(%rbp), %xmm7
    leave
    .cfi_def_cfa %rsp, 8
    .cfi_restore %rbp
.endm

// Calls the runtime, which returns the implementation and the object behind the receiver.
.macro ASK_RUNTIME function
    call \function@PLT
    movq %rax, %r11
    movq %rdx, %r10
    RESTORE_ARGUMENTS
.endm

.macro BEGIN name
    .globl \name
    .type \name, @function
    .p2align 4
\name:
    .cfi_startproc
.endm

.macro END name
    .cfi_endproc
    .size \name, .-\name
.endm

// A receiver that is null, or below zero: a handle of the Metal device, whose object the runtime asks for.
.macro SEND name, on_nil
BEGIN \name
    testq %rdi, %rdi
    jle 2f
    movq (%rdi), %r10
    LOOK_UP %rsi, 3f
    jmp *24(%r11)
2:  je 4f
3:  SAVE_ARGUMENTS
    ASK_RUNTIME metalsim_find_method
    movq %r10, %rdi
    jmp *%r11
4:  xorl %eax, %eax
    xorl %edx, %edx
    xorps %xmm0, %xmm0
    xorps %xmm1, %xmm1
    \on_nil
    ret
END \name
.endm

SEND objc_msgSend,
SEND objc_msgSend_fpret, fldz              // long double
SEND objc_msgSend_fp2ret, "fldz; fldz"     // complex long double

// The result's address comes before the receiver. clang clears the result of a message to null.
BEGIN objc_msgSend_stret
    testq %rsi, %rsi
    jle 2f
    movq (%rsi), %r10
    LOOK_UP %rdx, 3f
    jmp *24(%r11)
2:  je 4f
3:  SAVE_ARGUMENTS
    movq %rsi, %rdi
    movq %rdx, %rsi
    ASK_RUNTIME metalsim_find_method
    movq %r10, %rsi
    jmp *%r11
4:  movq %rdi, %rax
    ret
END objc_msgSend_stret

// The first argument points to the receiver and the class whose method makes the call.
BEGIN objc_msgSendSuper2
    movq 8(%rdi), %r10
    movq 8(%r10), %r10
    LOOK_UP %rsi, 3f
    movq (%rdi), %rdi
    jmp *24(%r11)
3:  SAVE_ARGUMENTS
    call metalsim_find_super_method@PLT
    movq %rax, %r11
    RESTORE_ARGUMENTS
    movq (%rdi), %rdi
    jmp *%r11
END objc_msgSendSuper2

BEGIN objc_msgSendSuper2_stret
    movq 8(%rsi), %r10
    movq 8(%r10), %r10
    LOOK_UP %rdx, 3f
    movq (%rsi), %rsi
    jmp *24(%r11)
3:  SAVE_ARGUMENTS
    movq %rsi, %rdi
    movq %rdx, %rsi
    call metalsim_find_super_method@PLT
    movq %rax, %r11
    RESTORE_ARGUMENTS
    movq (%rsi), %rsi
    jmp *%r11
END objc_msgSendSuper2_stret

    .section .note.GNU-stack,"",@progbits
