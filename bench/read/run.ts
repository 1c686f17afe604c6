import { compare } from './comparison.js';

for (const latencyMs of [0, 5]) {
  const result = await compare({ latencyMs, rounds: 5, requests: 300, warmUpRequests: 300, concurrency: 8 });
  console.log(JSON.stringify(result, null, 1));
}
