// The document that both sides evaluate over: the same 100 items each time.
'use strict';
const items = [];
for (let i = 0; i < 100; i++) {
  items.push({
    id: 'item-' + String(i).padStart(3, '0'),
    category: ['tea', 'rice', 'paper', 'silk', 'salt'][(i * 7) % 5],
    price: ((i * 37) % 101) + (i % 4) * 0.25,
    quantity: (i % 9) + 1,
  });
}
module.exports = {
  input: {
    total: 123.5, count: 4, discount: 13.5,
    customer: { name: 'Hiroshige', email: 'ando@example.com', address: { city: 'Edo', road: 'Tokaido', station: 1 } },
    items,
  },
};
if (require.main === module) process.stdout.write(JSON.stringify(module.exports));
