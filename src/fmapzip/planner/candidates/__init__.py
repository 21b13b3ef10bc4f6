"""Which ways there are to store each feature map, and what is known of them."""
