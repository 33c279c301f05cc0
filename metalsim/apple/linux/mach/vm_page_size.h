// The page of a Mac with Apple silicon: allocators round to it.
#pragma once

#define vm_page_size ((unsigned long)16384)
#define vm_page_mask (vm_page_size - 1)
#define vm_page_shift 14
#define trunc_page(address) ((unsigned long)(address) & ~vm_page_mask)
#define round_page(address) (((unsigned long)(address) + vm_page_mask) & ~vm_page_mask)
